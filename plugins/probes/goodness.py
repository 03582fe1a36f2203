"""How large does goodness get in each layer, and does it run away? The paper's Figures 5 and 6 (left) and 9 (right)."""

from pydantic import Field

import ffprobe


class Goodness(ffprobe.Probe):
    """Mean positive and negative goodness of each layer over training, and the largest of all at chosen epochs.

    Means are those of the training batches over an epoch's steps. The largest goodness is over all images and all
    labels tried, of the validation set at the chosen epochs and of the test set at the end; the paper takes the test
    set at three epochs.
    """

    name = "goodness"
    source = "Trifecta (arXiv:2311.18130) Appendices D and E, Figures 5, 6 and 9"

    class Params(ffprobe.Params):
        """Where the largest goodness is looked for."""

        epochs: list[int] = Field(
            [], description="evaluated epochs, such as [1,50,100]; first, middle and last evaluation unless given"
        )

    def analyze(self, runs):
        several = len(runs) > 1
        labels = ffprobe.run_labels(runs)
        found = [_Measured(run, label, self.params.epochs) for run, label in zip(runs, labels, strict=True)]
        rows, claims = [row for one in found for row in one.rows()], _claims(found)
        squares = any(one.kind.endswith("-square") for one in found)

        def draw(figure):
            _draw(figure, found)

        return ffprobe.Result(
            name=self.name,
            question="How large does goodness get in each layer, and does it keep growing?",
            columns=_columns(several),
            rows=rows if several else [row[1:] for row in rows],
            notes=ffprobe.joint_notes([(one.label, one.notes()) for one in found])
            + (SCALE if squares else [])
            + (MIND if claims else []),
            claims=claims,
            extra={"runs": [one.to_dict() for one in found]},
            draw=draw,
            size=(6.0, 0.4 + 1.8 * (len(runs) + several)),
            runs=runs,
        )


SCALE = [
    "Mind the scale: a mean of squares does not depend on the width, a sum does. The authors' code takes the mean after"
    " pooling; the paper's text speaks of sums as well, and its figures reach 90 to 160.",
]
MIND = [
    "Below, goodness counts as about the same where it does not double between the last two of the chosen epochs.",
]


def _columns(several):
    run = [ffprobe.Column("run", "", "what tells the run apart", key=True)] if several else []
    columns = [
        ("positive", "1", "goodness of positives, training batches, mean over the epoch", "#.3g"),
        ("negative", "1", "the same of negatives", "#.3g"),
        ("maximum", "1", "largest goodness of any validation image and label, at the chosen epochs", "#.3g"),
        ("test_maximum", "1", "the same of the test set, at the end", "#.3g"),
    ]
    keys = [
        ffprobe.Column("epoch", "epoch", "epochs done", key=True),
        ffprobe.Column("depth", "", "position of the layer, from 1", key=True),
        ffprobe.Column("layer", "", "its name in the run file", key=True),
    ]
    return [*run, *keys, *(ffprobe.Column(*column) for column in columns)]


class _Measured:
    """What one run file says; arrays over time are ``[epochs, layers]``."""

    def __init__(self, run, label, wanted):
        import numpy as np

        self.run, self.label = run, label
        self.layers = [str(name) for name in run.read("metrics/layer")]
        self.epochs = [int(epoch) for epoch in run.read("metrics/epoch")]
        if not self.epochs:
            hint = "Let it go on until its first epoch is done."
            raise ffprobe.FileError("No epoch is in the file yet.", where=str(run.path), hint=hint)
        self.positive, self.negative = (run.read(f"metrics/goodness_{sign}") for sign in ("positive", "negative"))
        self.kind = ffprobe.run_components(run).get("goodness", "unknown")
        has = run.has("evaluation/goodness")
        evaluated = [int(epoch) for epoch in run.read("evaluation/epoch")] if has else []
        if missing := sorted(set(wanted) - set(evaluated)):
            near = (
                f"It was evaluated after {', '.join(map(str, evaluated))}." if evaluated else "It has no evaluations."
            )
            what = f"The validation set was not evaluated after epoch {', '.join(map(str, missing))}."
            raise ffprobe.UsageError(what, where=str(run.path), hint=near)
        chosen = sorted(set(wanted)) or sorted(
            {*evaluated[:1], *evaluated[-1:], *evaluated[(len(evaluated) - 1) // 2 :][:1]}
        )
        self.maximum = {}
        for epoch in chosen:  # one evaluation at a time: they may be large
            self.maximum[epoch] = run.variable("evaluation/goodness")[evaluated.index(epoch)].max(axis=(1, 2))
        tested = run.complete and run.has("test/goodness")
        self.test = run.read("test/goodness").max(axis=(1, 2)) if tested else np.full(len(self.layers), np.nan)
        self.tested = bool(np.isfinite(self.test).any())
        if not (self.trained or self.maximum or self.tested):
            hint = "Train with training.validation_fraction above 0, or by a loss over pairs."
            raise ffprobe.FileError("No goodness was measured in this run.", where=str(run.path), hint=hint)

    @property
    def trained(self):
        """Whether positives and negatives were told apart while training; a loss over classes does not."""
        return bool((self.positive == self.positive).any())

    def rows(self):
        nothing = [float("nan")] * len(self.layers)
        for row, epoch in enumerate(self.epochs):
            most, test = self.maximum.get(epoch, nothing), self.test if epoch == self.epochs[-1] else nothing
            for i, layer in enumerate(self.layers):
                means = self.positive[row, i], self.negative[row, i]
                yield (self.label, epoch, i + 1, layer, *means, most[i], test[i])

    def notes(self):
        if not self.run.complete:
            yield f"the run is unfinished, {len(self.epochs)} epochs are in the file."
        yield f"goodness is {self.kind}."
        if not self.trained:
            yield "no goodness of positives and negatives was measured in training."
        if not self.maximum:
            yield "no validation goodness is in the file, so there is no maximum over time."
        if not self.tested:
            yield "the test set has not been read."

    def to_dict(self):
        facts = {"goodness": self.kind, "chosen_epochs": list(self.maximum), "test": self.tested}
        return {"label": self.label, "path": str(self.run.path), **facts}

    def last(self):
        """Where the largest goodness at the end was looked for, and what it was."""
        if self.tested:
            return "test", self.test
        return "validation", self.maximum[max(self.maximum)] if self.maximum else None


DEEP = {"loss": {"symba"}, "normalizer": {"batchnorm"}, "scheduler": {"olu"}}


def _claims(found):
    """What the paper says of runs with SymBa; each rule is stated with its numbers."""
    several = len(found) > 1
    early, growth = [], []
    for one in found:
        label, (where, most) = one.label if several else "", one.last()
        if ffprobe.in_setting(one.run, DEEP):
            if most is None or len(one.layers) < 5 or not (most == most).all():
                early.append((label, None, "no maximum at the end, or fewer than 5 layers"))
            else:
                first, rest = most[:3].max(), most[3:].max()
                text = f"on {where} images {first:.3g} in the first three layers, {rest:.3g} in the later ones"
                early.append((label, bool(first > rest), text))
        if ffprobe.in_setting(one.run, {"loss": {"symba"}}):
            growth.append((label, *_growth(one)))
    said = "the largest goodness at test time is about 160 in the first three layers and 90 in the later ones (TFF/d)."
    claims = [ffprobe.joint_claim("Trifecta, Appendix D, Figure 6 left", said, early)]
    said = (
        "SymBa could lower its loss by scaling weights without end but does not: longer training leaves the largest"
        " goodness about the same, except in the last layer (TFF/d, 500 epochs)."
    )
    claims += [ffprobe.joint_claim("Trifecta, Appendix D, Figure 6 left", said, growth), _evenness(found)]
    return [claim for claim in claims if claim]


def _growth(one):
    """No layer but the last may double between the last two chosen epochs."""
    import numpy as np

    if len(one.maximum) < 2 or len(one.layers) < 2:
        return None, "fewer than two evaluations or layers"
    before, after = list(one.maximum)[-2:]
    if not all(np.isfinite(one.maximum[epoch]).all() for epoch in (before, after)):
        return None, "goodness is not finite"
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = one.maximum[after] / one.maximum[before]
    if not np.isfinite(factor).all():
        return None, "a layer has no goodness at all"
    text = (
        f"from epoch {before} to {after} it grows at most {factor[:-1].max():.2f}-fold in all layers but the last,"
        f" {factor[-1]:.2f}-fold in the last"
    )
    if after < ffprobe.GROWTH_EPOCHS:
        return None, f"{text}, too early to tell growth that ends"
    return bool(factor[:-1].max() < 2), text


def _evenness(found):
    """Largest over smallest layer maximum, with batch normalization against the other runs of the same loss."""
    import numpy as np

    kinds = {}
    for one in found:
        names, (_, most) = ffprobe.run_components(one.run), one.last()
        if names.get("loss") == "symba" and most is not None and np.isfinite(most).all() and most.min() > 0:
            kinds.setdefault(names.get("normalizer"), []).append((one.label, float(most.max() / most.min())))
    batch, others = (
        kinds.get("batchnorm", []),
        [*kinds.get("length", []), *kinds.get("rms", []), *kinds.get("none", [])],
    )
    if not batch or not others:
        return None
    agrees = max(ratio for _, ratio in batch) < min(ratio for _, ratio in others)
    told = ", ".join(f"{label} {ratio:.3g}" for label, ratio in batch + others)
    return ffprobe.Claim(
        "Trifecta, Appendix E, Figure 9 right",
        "the largest goodness is more alike across layers with batch normalization than with length normalization or"
        " none (VFF+SymBa/f, CIFAR-10).",
        f"largest layer over smallest: {told}.",
        agrees,
    )


def _draw(figure, found):
    """Positive and negative means beside each other, and the maxima by layer; of several runs, those at the end."""
    several, shown = len(found) > 1, [i for i, one in enumerate(found) if one.trained]
    rows = [[f"positive {i}", f"negative {i}"] for i in shown]
    rows = [*rows, ["maximum"] * 2] if several or not shown else [[*rows[0], "maximum"]]
    axes, panels = figure.subplot_mosaic(rows), []
    for i in shown:
        one, pair = found[i], [axes[f"{sign} {i}"] for sign in ("positive", "negative")]
        pair[1].sharey(pair[0])
        for where, sign, values in zip(pair, ("positive", "negative"), (one.positive, one.negative), strict=True):
            panels.append({"axes": where, "x": one.epochs, "y": values, "ylabel": f"{sign} goodness", "scale": "auto"})
        if several:
            pair[0].set_title(one.label, loc="left")
    if panels:
        ffprobe.lines_by_depth(figure, panels)
    series, single = [], found[0]
    if several:
        series = [{"label": one.label, "y": one.last()[1]} for one in found if one.last()[1] is not None]
    else:
        series = [{"label": f"epoch {epoch}", "y": most} for epoch, most in single.maximum.items()]
        series += [{"label": "test, at the end", "y": single.test}] if single.tested else []
    series = [{**one, "x": range(1, len(one["y"]) + 1)} for one in series]
    ffprobe.line_by_layer(axes["maximum"], series, ylabel="largest goodness")


@ffprobe.hookimpl
def ffprobe_components():
    return [Goodness]
