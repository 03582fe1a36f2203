"""How much of a layer's learning signal would a cumulative loss take away?"""

from pydantic import Field

import ffprobe


class FreeRiding(ffprobe.Probe):
    """Free-riding ratio F of each layer, median attenuation R, starved share and coverage, from recorded goodness.

    A loss that adds the margins of earlier layers to a layer's own, softplus(-beta (m + gamma P)), leaves a share R of
    the signal that the margin m alone would give; F = E[1 - min(1, R)]. Margins are goodness under the true label minus
    goodness under a wrong one, of the validation images at the last evaluation; the expectation is over images and all
    their wrong labels, which is the mean over every draw of one random wrong label (the published numbers take one
    draw). ``starved`` pairs have R <= 0.01. ``coverage`` is the share of pairs with m >= 0 and P >= 0.
    """

    name = "free-riding"
    source = "Free riding in Forward-Forward (arXiv:2605.06240)"

    class Params(ffprobe.Params):
        """The loss that is asked about."""

        beta: float | None = Field(
            None, gt=0, description="slope; unless given the beta or alpha of the run's loss, else 4", examples=[4]
        )
        gamma: float | None = Field(
            None,
            ge=0,
            description="weight of earlier layers; unless given that of the run's loss, else 1",
            examples=[0.7],
        )

    def analyze(self, runs):
        several = len(runs) > 1
        labels = ffprobe.run_labels(runs)
        found = [_Margins(run, label, self.params) for run, label in zip(runs, labels, strict=True)]
        rows = [row for one in found for row in one.rows()]

        def draw(figure):
            _draw(figure, found)

        return ffprobe.Result(
            name=self.name,
            question="How much of each layer's learning signal would a cumulative loss take away?",
            columns=_columns(several),
            rows=rows if several else [row[1:] for row in rows],
            notes=ffprobe.joint_notes([(one.label, one.notes()) for one in found]),
            claims=_claims(found),
            extra={"runs": [one.to_dict() for one in found]},
            draw=draw,
            size=(5.5, 2.1),
            runs=runs,
        )


def _columns(several):
    run = [ffprobe.Column("run", "", "what tells the run apart", key=True)] if several else []
    columns = [
        ffprobe.Column("depth", "", "position of the layer, from 1", key=True),
        ffprobe.Column("layer", "", "its name in the run file", key=True),
        ffprobe.Column("free_riding", "1", "F = E[1 - min(1, R)]", ".3f"),
        ffprobe.Column("median_r", "1", "median of R, the share of the signal that is left", ".3g"),
        ffprobe.Column("starved", "%", "pairs of image and wrong label with R <= 0.01", ".1f"),
        ffprobe.Column("coverage", "%", "pairs whose own and earlier margins are not negative", ".1f"),
        ffprobe.Column("margin", "1", "own margin, mean", "#.3g"),
        ffprobe.Column("before", "1", "sum of the earlier layers' margins, mean", "#.3g"),
    ]
    return [*run, *columns]


class _Margins:
    """The margins of one run at its last evaluation."""

    def __init__(self, run, label, params):
        import numpy as np

        self.run, self.label = run, label
        self.layers = [str(name) for name in run.read("metrics/layer")]
        if not run.has("evaluation/goodness") or not len(run.variable("evaluation/goodness")):
            hint = "Let it go on until the first evaluation, or train with training.validation_fraction above 0."
            raise ffprobe.FileError("No validation goodness is in this file.", where=str(run.path), hint=hint)
        self.epoch = int(run.read("evaluation/epoch")[-1])
        true, wrong = ffprobe.true_and_wrong(run.variable("evaluation/goodness")[-1], run.read("evaluation/true_label"))
        without = [str(i + 1) for i, one in enumerate(true) if not np.isfinite([one, *wrong[i].T]).all()]
        if without or not wrong.size:
            what = (
                f"The goodness of layer {', '.join(without)} is NaN or infinite." if without else "No label is wrong."
            )
            hint = "A run that diverged, or a rule that gives a layer no goodness of its own, has no margins there."
            raise ffprobe.FileError(what, where=f"evaluation/goodness of {run.path}", hint=hint)
        self.images, self.wrong = wrong.shape[1:]
        margins = (true[..., None] - wrong).reshape(len(self.layers), -1)
        loss = run.config.get("loss", {})
        loss = loss if hasattr(loss, "get") else {}
        own = loss.get("beta", loss.get("alpha"))
        self.paired = own is not None  # the loss is one of margins
        self.assumed = params.beta is None and not self.paired
        self.beta = float(params.beta or own or 4.0)
        self.trained = float(loss.get("gamma", 0.0))
        self.gamma = params.gamma if params.gamma is not None else self.trained or 1.0
        self.loss = ffprobe.run_components(run).get("loss", "an unknown loss")
        self.found = ffprobe.attenuation(margins, self.beta, self.gamma)
        self.margin = margins.mean(axis=1)
        self.before = np.concatenate([[0.0], self.margin.cumsum()[:-1]])

    def rows(self):
        for i, (layer, one) in enumerate(zip(self.layers, self.found, strict=True)):
            shares = one.free_riding, one.median, 100 * one.starved, 100 * one.coverage
            yield (self.label, i + 1, layer, *shares, self.margin[i], self.before[i])

    def notes(self):
        yield (
            f"beta = {self.beta:g}, gamma = {self.gamma:g}; {self.images} validation images times {self.wrong} wrong"
            f" labels after epoch {self.epoch}."
        )
        if self.assumed:
            yield f"{self.loss} has no slope of its own for pairs, so beta is the published 4; set it with beta=."
        if self.trained == 0:
            yield (
                "This run was trained without a cumulative loss (gamma = 0): no signal was lost. The numbers are what"
                f" one with gamma = {self.gamma:g} would take away at these margins, if it were switched on now."
            )
        elif self.trained != self.gamma:
            yield f"The run was trained with gamma = {self.trained:g}, the numbers are for another one."
        yield "The first layer has nothing before it: R is 1, F is 0."

    def to_dict(self):
        facts = {"beta": self.beta, "gamma": self.gamma, "trained_with_gamma": self.trained, "epoch": self.epoch}
        return {"label": self.label, "path": str(self.run.path), **facts, "pairs": self.images * self.wrong}


def _claims(found):
    several = len(found) > 1
    taken, rises = [], []
    for one in found:
        label, later = one.label if several else "", [layer.free_riding for layer in one.found[1:]]
        if not later:
            continue
        text = f"F is {min(later):.3f} to {max(later):.3f} in the layers after the first"
        if one.trained == 0 and one.paired:
            rises.append((label, *_rises(one)))
        if one.trained == 0:
            taken.append((label, None, f"{text}, for a loss that it was not trained with"))
        else:
            taken.append((label, min(later) >= 0.9, f"{text} (at least 0.9 agrees)"))
    claims = [
        ffprobe.joint_claim(
            "Free riding (arXiv:2605.06240)",
            "trained with gamma = 0.7, the blocks after the first have F of 0.93 to 0.95, 65 to 90 % of pairs starved"
            " (4 attention blocks, CIFAR-10).",
            taken,
        ),
        ffprobe.joint_claim(
            "Free riding (arXiv:2605.06240)",
            "trained without earlier margins (gamma = 0), each block separates more than the one before (2.30, 2.89,"
            " 3.18, 3.28).",
            rises,
        ),
    ]
    return [claim for claim in claims if claim]


def _rises(one):
    """Every layer's mean margin must exceed the one before."""
    if len(one.margin) < 3:
        return None, f"{len(one.margin)} layers are too few"
    steps = [bool(b > a) for a, b in zip(one.margin, one.margin[1:], strict=False)]
    span = f"from {one.margin[0]:.3g} to {one.margin[-1]:.3g}"
    return all(steps), f"the mean margin grows in {sum(steps)} of {len(steps)} steps, {span}"


def _draw(figure, found):
    """F, the starved share and the own margin, by layer."""
    panels = figure.subplots(1, 3)
    series = [[], [], []]
    for one in found:
        layers = range(1, len(one.layers) + 1)
        values = [x.free_riding for x in one.found], [100 * x.starved for x in one.found], one.margin
        for lines, y in zip(series, values, strict=True):
            lines.append({"label": "", "x": layers, "y": y})
    words = ("free-riding ratio F", "starved pairs (%)", "own margin")
    for axes, lines, ylabel in zip(panels, series, words, strict=True):
        ffprobe.line_by_layer(axes, lines, ylabel=ylabel)
    panels[0].set_ylim(-0.03, 1.03)
    panels[1].set_ylim(-3, 103)
    if len(found) > 1:
        names = [one.label for one in found]
        figure.legend(panels[0].containers, names, loc="outside lower center", ncols=min(4, len(names)))


@ffprobe.hookimpl
def ffprobe_components():
    return [FreeRiding]
