"""How much class information can a classifier read from each layer? Reproduces the paper's Figure 8."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

import ffprobe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STAGES = ("pre", "post")
LENGTH = ("length", "layernorm", "rms")
"""The normalizers that the paper calls layer normalization (the paper's own replaces the mean by 0)."""
ALPHA = 0.05
FCN = ffprobe.paper_setting("fcn", "cifar10", 100)
LEAST_LAYERS, VISIBLE = 3, 1.0
"""Minimum number of layers to look for a fall with depth, and the smallest fall that counts, in percentage points."""


class Probes(ffprobe.PerRunProbe):
    """Held-out accuracy of a linear and of a multi-layer classifier on each layer's activations.

    Activations are recorded with the neutral label, before and after the normalizer that follows the layer, for
    training images (to fit on) and for validation images (to score on). The floors are the same classifiers on the
    untrained network and on the image itself. The paper fits for 100 epochs on all features and scores on the test set.
    Here features are reduced to ``recording.max_features`` values, and the test set is not used.
    """

    name = "probes"
    source = "Trifecta (arXiv:2311.18130) Appendix E, Figure 8"
    needs = frozenset({"activations"})
    question = "How accurately can a linear and a multi-layer classifier predict the class from each layer?"
    settings_in_extra = True
    label_every_note = True

    class Params(ffprobe.Params):
        """Settings of the classifiers."""

        hidden: int = Field(64, ge=1, le=4096, description="number of hidden units of the multi-layer classifier")
        repeats: int = Field(5, ge=1, le=100, description="number of fits of each linear classifier")
        mlp_repeats: int = Field(3, ge=1, le=100, description="number of fits of each multi-layer classifier")
        l2: float = Field(1.0, ge=0, description="L2 penalty, l2 / 2 * ||W||^2, added to the summed loss")
        seed: int = Field(0, ge=0, lt=2**31, description="random seed for the subsets of images and initial weights")

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunProbes:
        return _RunProbes(run, label, self.params)

    def columns(self, results: Sequence[_RunProbes]) -> list[ffprobe.Column]:
        columns = [
            ffprobe.Column("depth", "", "layer number, from 1; 0 is the input", key=True),
            ffprobe.Column("layer", "", "layer number, from 1, as text; input is the image itself", key=True),
            ffprobe.Column("stage", "", "before (pre) or after (post) the normalizer", key=True),
        ]
        for name, text in (("linear", "linear classifier"), ("mlp", "multi-layer classifier")):
            for floor, when in (("", "after training"), ("untrained_", "before training")):
                mean = f"{floor}{name}"
                columns += [
                    ffprobe.Column(mean, "%", f"held-out accuracy of the {text}, {when}", ".1f"),
                    ffprobe.Column(f"{mean}_sd", "%", "standard deviation over fits", ".1f", spread_of=mean),
                ]
        return columns

    def notes(self, results: Sequence[_RunProbes], claims: Sequence[ffprobe.Claim]) -> list[str]:
        return super().notes(results, claims) + NOTES

    def claims(self, results: Sequence[_RunProbes]) -> list[ffprobe.Claim]:
        return [claim for claim in (_fall(results), _order(results)) if claim]

    def draw(self, figure: Figure, results: Sequence[_RunProbes]) -> None:
        """Linear above multi-layer; one colour per run, filled before and hollow after the normalizer."""
        from matplotlib.lines import Line2D

        top, bottom = figure.subplots(2, 1, sharex=True)
        for axes, column, title in ((top, 3, "linear classifier"), (bottom, 7, "multi-layer classifier")):
            labelled = axes is top or len(results) <= 6
            runs = [(result.label if labelled else "", result.rows()) for result in results]
            for level in {row[column] for result in results for row in result.rows() if row[0] == 0}:
                axes.axhline(level, **RAW)
            ffprobe.stage_lines(axes, runs, column, column + 2, f"{title} (%)", error=column + 1)
            axes.label_outer()
        key = {**ffprobe.stage_key(), "raw input": Line2D([], [], **RAW)}
        figure.legend(list(key.values()), list(key), loc="outside lower center", ncols=2)

    def figure_size(self, results: Sequence[_RunProbes]) -> tuple[float, float]:
        return 3.25, 4.4


NOTES = [
    "The ± is the standard deviation over fits on random 80 % of the images; all fits use the same held-out images.",
    "untrained is the floor: the same classifier on the same layer before training; input is the image itself.",
    "Features are z-scored, so a normalizer that only shifts and scales each unit (batchnorm, none) gives the same"
    " accuracy pre and post.",
]
RAW: dict[str, Any] = {"color": "0.45", "linewidth": 0.8, "linestyle": (0, (6, 2)), "zorder": 1}


class _RunProbes:
    """The classifiers on the recorded activations of one run."""

    def __init__(self, run: ffprobe.RunFile, label: str, params: Any) -> None:
        self.recorded, self.run, self.label = ffprobe.RecordedActivations(run), run, label
        self.images = int(self.recorded.held.sum())
        self.normalizer, self.rule = (ffprobe.run_components(run).get(slot) for slot in ("normalizer", "rule"))
        self._rows = list(self._fit(params))

    def _fit(self, params: Any) -> Iterator[tuple[Any, ...]]:
        """(depth, layer, stage, linear, sd, untrained, sd, mlp, sd, untrained, sd), in percent."""
        import numpy as np

        common: dict[str, Any] = {"seed": params.seed, "l2": params.l2}
        linear = ffprobe.fit_recorded_heads(self.recorded, repeats=params.repeats, **common)
        mlp = ffprobe.fit_recorded_heads(self.recorded, repeats=params.mlp_repeats, hidden=params.hidden, **common)
        for place in self.recorded.places:
            values = []
            for heads in (linear, mlp):
                for row in (-1, 0):
                    fits = 100 * heads[place, row].accuracy if (place, row) in heads else np.array([np.nan])
                    values += [fits.mean(), fits.std(ddof=1) if len(fits) > 1 else np.nan]
            yield (*place.cells, *values)

    def rows(self) -> list[tuple[Any, ...]]:
        return self._rows

    def notes(self) -> Iterator[str]:
        recorded = self.recorded
        chance = 100 / len(set(recorded.truth.tolist()))
        yield (
            f"fitted on {len(recorded.held) - self.images} training images, scored on {self.images} held-out images,"
            f" after epoch {recorded.last_epoch}; chance is {chance:.0f} %, and an accuracy of 90 % has a standard"
            f" error of {30 / self.images**0.5:.1f} %."
        )
        if not all(recorded.untrained(place) for place in recorded.places if place.depth):
            yield "the untrained network was not recorded, so there is no floor."

    def to_dict(self) -> dict[str, Any]:
        counts = {"fit_images": len(self.recorded.held) - self.images, "held_out_images": self.images}
        return {"label": self.label, "path": str(self.run.path), **counts, "epoch": self.recorded.last_epoch}

    def fall(self) -> tuple[float, float, float, float] | None:
        """Fall of the multi-layer classifier from the first to the last layer in points, its error, and both values.

        The error is that of two independent accuracies (Agresti and Coull). It is smaller for the same images, so this
        estimate is conservative. None with fewer than ``LEAST_LAYERS`` layers.
        """
        mlp = [row[7] for row in self._rows if row[0] and row[2] == "pre"]
        if len(mlp) < LEAST_LAYERS:
            return None
        n, variance = self.images, 0.0
        for accuracy in (mlp[0], mlp[-1]):
            share = (accuracy / 100 * n + 2) / (n + 4)
            variance += 1e4 * share * (1 - share) / n
        return mlp[0] - mlp[-1], variance**0.5, mlp[0], mlp[-1]


def _fall(results: Sequence[_RunProbes]) -> ffprobe.Claim | None:
    """Figure 8: the fall under layer normalization."""
    verdicts: list[ffprobe.RunVerdict] = []
    for result in results:
        if result.normalizer not in LENGTH or result.rule != "forward-forward":
            continue
        label, fall = result.label if len(results) > 1 else "", result.fall()
        if fall is None:
            verdicts.append(ffprobe.judge(result.run, label, None, f"fewer than {LEAST_LAYERS} layers", paper=FCN))
            continue
        points, error, first, last = fall
        p = ffprobe.normal_p(points, error)
        agrees = True if p < ALPHA and points > VISIBLE else None
        if agrees is None and (below := ffprobe.normal_p(VISIBLE - points, error)) < ALPHA and points < VISIBLE:
            agrees, p = False, below
        text = (
            f"{first:.1f} % at the first layer, {last:.1f} % at the last, a fall of {points:.1f} ± {error:.1f} points"
        )
        verdicts.append(ffprobe.judge(result.run, label, agrees, f"{text} ({result.normalizer})", p=p, paper=FCN))
    claim = (
        "the accuracy of a multi-layer classifier falls quickly with depth under layer normalization (CIFAR-10,"
        " VFF+SymBa/f, 100 epochs)."
    )
    return ffprobe.joint_claim("Trifecta, Figure 8", claim, verdicts)


def _order(results: Sequence[_RunProbes]) -> ffprobe.Claim | None:
    """Figure 8: the order of the normalizers, among runs that differ in nothing else."""
    families = {"none": ("none",), "batchnorm": ("batchnorm",), "layer normalization": LENGTH}
    falls = {
        name: [
            fall
            for result in results
            if result.rule == "forward-forward" and result.normalizer in family and (fall := result.fall())
        ]
        for name, family in families.items()
    }
    falls = {name: values for name, values in falls.items() if values}
    if len(falls) < 2:
        return None
    means = {name: sum(fall[0] for fall in values) / len(values) for name, values in falls.items()}
    errors = {name: sum(fall[1] ** 2 for fall in values) ** 0.5 / len(values) for name, values in falls.items()}
    steps = []
    for a, b in zip(list(means), list(means)[1:], strict=False):
        more, error = means[b] - means[a], (errors[a] ** 2 + errors[b] ** 2) ** 0.5
        steps.append((more, ffprobe.normal_p(more, error)))
    against = [min(1.0, len(steps) * p) for more, p in steps if more < 0]
    largest = max(p for _, p in steps)
    agrees = False if min(against, default=1.0) < ALPHA else True if not against and largest < ALPHA else None
    p = min(against) if agrees is False else largest
    here = "from the first layer to the last it falls by " + ", ".join(
        f"{means[name]:.1f} ± {errors[name]:.1f} points with {name}" for name in means
    )
    others = [
        {slot: name for slot, name in ffprobe.run_components(result.run).items() if slot != "normalizer"}
        for result in results
    ]
    if any(other != others[0] for other in others):
        agrees, here = None, f"{here}; the runs differ in more than the normalizer"
    claim = (
        "it falls least without a normalizer, more with batch normalization, most with layer normalization (as above)."
    )
    runs = [result.run for result in results]
    verdict = ffprobe.judge(runs, "", agrees, here, p=p, paper=FCN)
    return ffprobe.joint_claim("Trifecta, Figure 8", claim, [verdict])


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Probes]
