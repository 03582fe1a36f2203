"""How large does goodness become in each layer? Reproduces the paper's Figures 5 and 6 (left) and 9 (right)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure


class Goodness(ffprobe.PerRunProbe):
    """Mean positive and negative goodness of each layer over training, and the maximum at selected epochs.

    Means are over the training batches of an epoch. The maximum is over all images and all labels: of the validation
    set at the selected epochs, and of the test set at the end of the run. The paper uses the test set at three epochs.
    """

    name = "goodness"
    source = "Trifecta (arXiv:2311.18130) Appendices D and E, Figures 5, 6 and 9"
    question = "How large does goodness become in each layer, and does it keep growing?"

    class Params(ffprobe.Params):
        """Settings of the analysis."""

        epochs: list[int] = Field(
            [],
            description="evaluated epochs for the maximum goodness, such as [1,50,100]; by default the first, middle"
            " and last evaluation",
        )

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunGoodness:
        return _RunGoodness(run, label, self.params.epochs)

    def columns(self, results: Sequence[_RunGoodness]) -> list[ffprobe.Column]:
        column = ffprobe.Column
        return [
            column("epoch", "epoch", "number of completed epochs", key=True),
            column("depth", "", "layer number, from 1", key=True),
            column("layer", "", "layer number, from 1, as text", key=True),
            column("positive", "1", "goodness of positives, training batches, mean over the epoch", "#.3g"),
            column("negative", "1", "goodness of negatives, training batches, mean over the epoch", "#.3g"),
            column("maximum", "1", "maximum over all validation images and labels, at the selected epochs", "#.3g"),
            column("test_maximum", "1", "maximum over all test images and labels, at the end of the run", "#.3g"),
        ]

    def notes(self, results: Sequence[_RunGoodness], claims: Sequence[ffprobe.Claim]) -> list[str]:
        squares = any(result.kind.endswith("-square") for result in results)
        return (
            super().notes(results, claims)
            + (SCALE if squares else [])
            + (CRITERION if any(not claim.not_comparable for claim in claims) else [])
        )

    def claims(self, results: Sequence[_RunGoodness]) -> list[ffprobe.Claim]:
        """The paper's claims about runs with SymBa; the numbers behind each verdict are part of the claim."""
        several = len(results) > 1
        early: list[ffprobe.RunVerdict] = []
        growth: list[ffprobe.RunVerdict] = []
        for result in results:
            label, (where, most) = result.label if several else "", result.last()
            if ffprobe.in_setting(result.run, DEEP):
                if most is None or len(result.layers) < 5 or not (most == most).all():
                    text = "no maximum at the end, or fewer than 5 layers"
                    early.append(ffprobe.judge(result.run, label, None, text, paper=TFF_D))
                else:
                    first, rest = most[:3].max(), most[3:].max()
                    text = f"on {where} images {first:.3g} in the first three layers, {rest:.3g} in the later ones"
                    early.append(ffprobe.judge(result.run, label, bool(first > rest), text, paper=TFF_D))
            if ffprobe.in_setting(result.run, {"loss": {"symba"}}):
                growth.append(ffprobe.judge(result.run, label, *_growth(result), paper=TFF_D))
        source = "Trifecta, Appendix D, Figure 6 left"
        claims = [
            ffprobe.joint_claim(
                source,
                "the largest goodness at test time is about 160 in the first three layers and 90 in the later ones"
                " (TFF/d).",
                early,
            ),
            ffprobe.joint_claim(
                source,
                "SymBa could lower its loss by scaling weights up indefinitely but does not: longer training leaves the"
                " largest goodness about the same, except in the last layer (TFF/d, 500 epochs).",
                growth,
            ),
            _evenness(results),
        ]
        return [claim for claim in claims if claim]

    def draw(self, figure: Figure, results: Sequence[_RunGoodness]) -> None:
        """Positive and negative means side by side, and the maxima by layer; with several runs, the final maxima."""
        several = len(results) > 1
        shown = [i for i, result in enumerate(results) if result.trained_on_pairs]
        rows = [[f"positive {i}", f"negative {i}"] for i in shown]
        rows = [*rows, ["maximum"] * 2] if several or not shown else [[*rows[0], "maximum"]]
        mosaic: Any = rows
        axes, panels = figure.subplot_mosaic(mosaic), []
        for i in shown:
            result, pair = results[i], [axes[f"{sign} {i}"] for sign in ("positive", "negative")]
            pair[1].sharey(pair[0])
            values = (result.positive, result.negative)
            for where, sign, y in zip(pair, ("positive", "negative"), values, strict=True):
                panels.append(ffprobe.Panel(axes=where, x=result.epochs, y=y, ylabel=f"{sign} goodness", scale="auto"))
            if several:
                pair[0].set_title(result.label, loc="left")
        if panels:
            ffprobe.lines_by_depth(figure, panels)
        lines: list[tuple[str, np.ndarray]] = []
        if several:
            lines = [(result.label, most) for result in results if (most := result.last()[1]) is not None]
        else:
            (result,) = results
            lines = [(f"epoch {epoch}", most) for epoch, most in result.maximum.items()]
            lines += [("test, at the end", result.test)] if result.tested else []
        series = [ffprobe.Series(label=label, x=range(1, len(y) + 1), y=y.tolist()) for label, y in lines]
        ffprobe.line_by_layer(axes["maximum"], series, ylabel="largest goodness")

    def figure_size(self, results: Sequence[_RunGoodness]) -> tuple[float, float]:
        return 6.0, 0.4 + 1.8 * (len(results) + (len(results) > 1))


SCALE = [
    "The scale depends on the kind of goodness: a mean of squares does not depend on the width, a sum does."
    " The authors' code takes the mean after pooling; the paper's text also mentions sums, and its figures reach 90 to"
    " 160.",
]
CRITERION = [
    "In the claims, goodness is about the same if it does not double between the last two selected epochs.",
]
DEEP = {"loss": {"symba"}, "normalizer": {"batchnorm"}, "scheduler": {"olu"}}
TFF_D = ffprobe.paper_setting("tff-d", "cifar10", 500)
FCN = ffprobe.paper_setting("fcn", "cifar10", 100)


class _RunGoodness:
    """Goodness in one run; arrays over time have the shape ``[epochs, layers]``."""

    def __init__(self, run: ffprobe.RunFile, label: str, epochs: Sequence[int]) -> None:
        import numpy as np

        self.run, self.label = run, label
        self.layers = ffprobe.layer_numbers(run)
        self.epochs = [int(epoch) for epoch in run.read("metrics/epoch")]
        if not self.epochs:
            hint = "Resume the run until its first epoch is complete."
            raise ffprobe.FileError("The file has no epoch yet.", where=str(run.path), hint=hint)
        self.positive, self.negative = (run.read(f"metrics/goodness_{sign}") for sign in ("positive", "negative"))
        self.kind = ffprobe.run_components(run).get("goodness", "unknown")
        evaluated = [int(epoch) for epoch in run.read("evaluation/epoch")] if run.has("evaluation/goodness") else []
        if missing := sorted(set(epochs) - set(evaluated)):
            hint = (
                f"The evaluated epochs are {', '.join(map(str, evaluated))}."
                if evaluated
                else "The run has no evaluations."
            )
            what = f"The validation set was not evaluated after epoch {', '.join(map(str, missing))}."
            raise ffprobe.UsageError(what, where=str(run.path), hint=hint)
        selected = sorted(set(epochs)) or sorted(
            {*evaluated[:1], *evaluated[-1:], *evaluated[(len(evaluated) - 1) // 2 :][:1]}
        )
        self.maximum: dict[int, np.ndarray] = {}
        for epoch in selected:  # one evaluation at a time, because they may be large
            self.maximum[epoch] = run.variable("evaluation/goodness")[evaluated.index(epoch)].max(axis=(1, 2))
        tested = run.complete and run.has("test/goodness")
        self.test = run.read("test/goodness").max(axis=(1, 2)) if tested else np.full(len(self.layers), np.nan)
        self.tested = bool(np.isfinite(self.test).any())
        if not (self.trained_on_pairs or self.maximum or self.tested):
            hint = "Train with training.validation_fraction above 0, or with a loss over pairs."
            raise ffprobe.FileError("The run measured no goodness.", where=str(run.path), hint=hint)

    @property
    def trained_on_pairs(self) -> bool:
        """Whether goodness of positives and negatives was measured in training; a loss over classes has neither."""
        return bool((self.positive == self.positive).any())

    def rows(self) -> Iterator[tuple[Any, ...]]:
        nothing = [float("nan")] * len(self.layers)
        for row, epoch in enumerate(self.epochs):
            most, test = self.maximum.get(epoch, nothing), self.test if epoch == self.epochs[-1] else nothing
            for i, layer in enumerate(self.layers):
                yield (epoch, i + 1, layer, self.positive[row, i], self.negative[row, i], most[i], test[i])

    def notes(self) -> Iterator[str]:
        if not self.run.complete:
            yield f"the run is unfinished; the file has {len(self.epochs)} epochs."
        yield f"goodness is {self.kind}."
        if not self.trained_on_pairs:
            yield "training measured no goodness of positives and negatives."
        if not self.maximum:
            yield "the file has no validation goodness, so there is no maximum over time."
        if not self.tested:
            yield "the test set was not evaluated."

    def to_dict(self) -> dict[str, Any]:
        facts = {"goodness": self.kind, "chosen_epochs": list(self.maximum), "test": self.tested}
        return {"label": self.label, "path": str(self.run.path), **facts}

    def last(self) -> tuple[str, np.ndarray | None]:
        """The set of images for the final maximum (``test`` or ``validation``), and the maximum of each layer."""
        if self.tested:
            return "test", self.test
        return "validation", self.maximum[max(self.maximum)] if self.maximum else None


def _growth(result: _RunGoodness) -> tuple[bool | None, str]:
    """Agrees if no layer but the last doubles between the last two selected epochs."""
    import numpy as np

    if len(result.maximum) < 2 or len(result.layers) < 2:
        return None, "fewer than two evaluations or layers"
    before, after = list(result.maximum)[-2:]
    if not all(np.isfinite(result.maximum[epoch]).all() for epoch in (before, after)):
        return None, "goodness is not finite"
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = result.maximum[after] / result.maximum[before]
    if not np.isfinite(factor).all():
        return None, "a layer has no goodness at all"
    text = (
        f"from epoch {before} to {after} it grows at most {factor[:-1].max():.2f}-fold in all layers but the last,"
        f" {factor[-1]:.2f}-fold in the last"
    )
    if after < ffprobe.GROWTH_EPOCHS:
        return None, f"{text}; too early to see whether growth ends"
    return bool(factor[:-1].max() < 2), text


def _evenness(results: Sequence[_RunGoodness]) -> ffprobe.Claim | None:
    """Ratio of largest to smallest layer maximum: batch normalization compared with other runs of the same loss."""
    import numpy as np

    kinds: dict[str | None, list[tuple[str, float]]] = {}
    runs: list[ffprobe.RunFile] = []
    for result in results:
        names, (_, most) = ffprobe.run_components(result.run), result.last()
        if names.get("loss") == "symba" and most is not None and np.isfinite(most).all() and most.min() > 0:
            runs.append(result.run)
            kinds.setdefault(names.get("normalizer"), []).append((result.label, float(most.max() / most.min())))
    batch = kinds.get("batchnorm", [])
    others = [*kinds.get("length", []), *kinds.get("rms", []), *kinds.get("none", [])]
    if not batch or not others:
        return None
    agrees = max(ratio for _, ratio in batch) < min(ratio for _, ratio in others)
    ratios = ", ".join(f"{label} {ratio:.3g}" for label, ratio in batch + others)
    return ffprobe.joint_claim(
        "Trifecta, Appendix E, Figure 9 right",
        "the largest goodness varies less across layers with batch normalization than with length normalization or"
        " none (VFF+SymBa/f, CIFAR-10).",
        [ffprobe.judge(runs, "", agrees, f"largest layer over smallest: {ratios}", paper=FCN)],
    )


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Goodness]
