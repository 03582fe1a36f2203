"""How much of a layer's learning signal would a cumulative loss remove?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure


class FreeRiding(ffprobe.PerRunProbe):
    """Free-riding ratio F of each layer, median attenuation R, starved share and coverage, from recorded goodness.

    A loss that adds the margins of earlier layers to a layer's own, softplus(-beta (m + gamma P)), leaves a share R of
    the signal that the margin m alone would give; F = E[1 - min(1, R)]. Margins are goodness under the true label minus
    goodness under a wrong label, on the validation images at the last evaluation. The expectation is over images and
    all their wrong labels, which is the mean over every draw of one random wrong label (the published numbers use one
    draw). ``starved`` pairs have R <= 0.01. ``coverage`` is the share of pairs with m >= 0 and P >= 0.
    """

    name = "free-riding"
    source = "Free riding in Forward-Forward (arXiv:2605.06240)"
    question = "How much of each layer's learning signal would a cumulative loss remove?"

    class Params(ffprobe.Params):
        """The cumulative loss to analyze."""

        beta: float | None = Field(
            None,
            gt=0,
            description="slope of the loss; by default beta or alpha of the run's loss, else 4",
            examples=[4],
        )
        gamma: float | None = Field(
            None,
            ge=0,
            description="weight of the earlier layers' margins; by default gamma of the run's loss, else 1",
            examples=[0.7],
        )

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunMargins:
        return _RunMargins(run, label, self.params)

    def columns(self, results: Sequence[_RunMargins]) -> list[ffprobe.Column]:
        return [
            ffprobe.Column("depth", "", "layer number, from 1", key=True),
            ffprobe.Column("layer", "", "layer number, from 1, as text", key=True),
            ffprobe.Column("free_riding", "1", "F = E[1 - min(1, R)]", ".3f"),
            ffprobe.Column("median_r", "1", "median of R, the share of the signal that remains", ".3g"),
            ffprobe.Column("starved", "%", "pairs of image and wrong label with R <= 0.01", ".1f"),
            ffprobe.Column("coverage", "%", "pairs whose own and earlier margins are not negative", ".1f"),
            ffprobe.Column("margin", "1", "mean of the layer's own margin", "#.3g"),
            ffprobe.Column("before", "1", "mean of the sum of the earlier layers' margins", "#.3g"),
        ]

    def claims(self, results: Sequence[_RunMargins]) -> list[ffprobe.Claim]:
        several = len(results) > 1
        removed: list[ffprobe.RunVerdict] = []
        rises: list[ffprobe.RunVerdict] = []
        for result in results:
            label, later = result.label if several else "", [layer.free_riding for layer in result.attenuation[1:]]
            if not later:
                continue
            text = f"F is {min(later):.3f} to {max(later):.3f} in the layers after the first"
            if result.trained_gamma == 0 and result.has_margin_loss:
                agrees, numbers, p = _rises(result)
                rises.append(ffprobe.judge(result.run, label, agrees, numbers, p=p, paper=BLOCKS))
            if result.trained_gamma == 0:
                text += ", for a loss that it was not trained with"
                removed.append(ffprobe.judge(result.run, label, None, text, paper=BLOCKS))
            else:
                text += " (agrees from 0.9)"
                removed.append(ffprobe.judge(result.run, label, min(later) >= 0.9, text, paper=BLOCKS))
        claims = [
            ffprobe.joint_claim(
                "Free riding (arXiv:2605.06240)",
                "trained with gamma = 0.7, the blocks after the first have F of 0.93 to 0.95, 65 to 90 % of pairs"
                " starved (4 attention blocks, CIFAR-10).",
                removed,
            ),
            ffprobe.joint_claim(
                "Free riding (arXiv:2605.06240)",
                "trained without earlier margins (gamma = 0), each block separates more than the one before (2.30,"
                " 2.89, 3.18, 3.28).",
                rises,
            ),
        ]
        return [claim for claim in claims if claim]

    def draw(self, figure: Figure, results: Sequence[_RunMargins]) -> None:
        """F, the starved share and the own margin, by layer."""
        panels = figure.subplots(1, 3)
        series: tuple[list[ffprobe.Series], ...] = ([], [], [])
        for result in results:
            layers = range(1, len(result.layers) + 1)
            values = (
                [layer.free_riding for layer in result.attenuation],
                [100 * layer.starved for layer in result.attenuation],
                result.margin.tolist(),
            )
            for lines, y in zip(series, values, strict=True):
                lines.append(ffprobe.Series(label="", x=layers, y=y))
        ylabels = ("free-riding ratio F", "starved pairs (%)", "own margin")
        for axes, lines, ylabel in zip(panels, series, ylabels, strict=True):
            ffprobe.line_by_layer(axes, lines, ylabel=ylabel)
        panels[0].set_ylim(-0.03, 1.03)
        panels[1].set_ylim(-3, 103)
        if len(results) > 1:
            names = [result.label for result in results]
            figure.legend(panels[0].containers, names, loc="outside lower center", ncols=min(4, len(names)))

    def figure_size(self, results: Sequence[_RunMargins]) -> tuple[float, float]:
        return 5.5, 2.1


class _RunMargins:
    """The margins of one run at its last evaluation."""

    def __init__(self, run: ffprobe.RunFile, label: str, params: Any) -> None:
        import numpy as np

        self.run, self.label = run, label
        self.layers = ffprobe.layer_numbers(run)
        if not run.has("evaluation/goodness") or not len(run.variable("evaluation/goodness")):
            hint = "Resume the run until its first evaluation, or train with training.validation_fraction above 0."
            raise ffprobe.FileError("The file has no validation goodness.", where=str(run.path), hint=hint)
        self.epoch = int(run.read("evaluation/epoch")[-1])
        true, wrong = ffprobe.true_and_wrong(run.variable("evaluation/goodness")[-1], run.read("evaluation/true_label"))
        without = [str(i + 1) for i, values in enumerate(true) if not np.isfinite([values, *wrong[i].T]).all()]
        if without or not wrong.size:
            what = (
                f"The goodness of layer {', '.join(without)} is NaN or infinite."
                if without
                else "There are no wrong labels."
            )
            hint = "A run that diverged, or a rule that gives a layer no goodness of its own, has no margins there."
            raise ffprobe.FileError(what, where=f"evaluation/goodness of {run.path}", hint=hint)
        self.images, self.wrong = wrong.shape[1:]
        pairs = true[..., None] - wrong  # [layers, images, wrong labels]
        self.by_image: np.ndarray = pairs.mean(axis=2)
        margins = pairs.reshape(len(self.layers), -1)
        loss = run.config.get("loss", {})
        loss = loss if hasattr(loss, "get") else {}
        slope = loss.get("beta", loss.get("alpha"))
        self.has_margin_loss = slope is not None
        self.default_beta = params.beta is None and not self.has_margin_loss
        self.beta = float(params.beta or slope or 4.0)
        self.trained_gamma = float(loss.get("gamma", 0.0))
        self.gamma: float = params.gamma if params.gamma is not None else self.trained_gamma or 1.0
        self.loss = ffprobe.run_components(run).get("loss", "an unknown loss")
        self.attenuation = ffprobe.attenuation(margins, self.beta, self.gamma)
        self.margin: np.ndarray = margins.mean(axis=1)
        self.before = np.concatenate([[0.0], self.margin.cumsum()[:-1]])

    def rows(self) -> Iterator[tuple[Any, ...]]:
        for i, (name, layer) in enumerate(zip(self.layers, self.attenuation, strict=True)):
            shares = layer.free_riding, layer.median, 100 * layer.starved, 100 * layer.coverage
            yield (i + 1, name, *shares, self.margin[i], self.before[i])

    def notes(self) -> Iterator[str]:
        yield (
            f"beta = {self.beta:g}, gamma = {self.gamma:g}; {self.images} validation images times {self.wrong} wrong"
            f" labels after epoch {self.epoch}."
        )
        if self.default_beta:
            yield f"{self.loss} has no slope for pairs, so beta is the published 4; set it with beta=."
        if self.trained_gamma == 0:
            yield (
                "This run was trained without a cumulative loss (gamma = 0), so no signal was lost. The numbers show"
                f" how much a loss with gamma = {self.gamma:g} would remove at these margins if it were used now."
            )
        elif self.trained_gamma != self.gamma:
            yield f"The run was trained with gamma = {self.trained_gamma:g}; the numbers are for another gamma."
        yield "The first layer has no earlier layers: R is 1, F is 0."

    def to_dict(self) -> dict[str, Any]:
        facts = {"beta": self.beta, "gamma": self.gamma, "trained_with_gamma": self.trained_gamma, "epoch": self.epoch}
        return {"label": self.label, "path": str(self.run.path), **facts, "pairs": self.images * self.wrong}


BLOCKS = ffprobe.paper_setting("attention-blocks", "cifar10")
"""The paper's four attention blocks, which are not a network of this project."""


def _rises(result: _RunMargins) -> tuple[bool | None, str, float]:
    """Agrees if every layer's mean margin exceeds the one before: t tests over images."""
    from scipy import stats

    if len(result.margin) < 3:
        return None, f"{len(result.margin)} layers are too few", float("nan")
    steps = [bool(b > a) for a, b in zip(result.margin, result.margin[1:], strict=False)]
    p = []
    for before, after in zip(result.by_image, result.by_image[1:], strict=False):
        change = after - before
        spread = float(change.std()) > 1e-9 * float(abs(change).max())
        p.append(float(stats.ttest_1samp(change, 0).pvalue) if len(change) > 1 and spread else float("nan"))
    span = f"from {result.margin[0]:.3g} to {result.margin[-1]:.3g}"
    text = f"the mean margin grows in {sum(steps)} of {len(steps)} steps, {span}"
    falls = [min(1.0, len(p) * value) for value, rises in zip(p, steps, strict=True) if not rises and value == value]
    if min(falls, default=1.0) < 0.05:
        return False, text, min(falls)
    sure = all(value < 0.05 for value in p)  # False for NaN
    return (True if sure and all(steps) else None), text, max(p) if all(v == v for v in p) else float("nan")


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [FreeRiding]
