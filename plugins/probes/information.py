"""How much information about the label does each layer keep? Lower bounds of mutual information, in bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

STAGES = ("pre", "post")
LENGTH = ("length", "layernorm", "rms")
LEAST_LAYERS = 3
FCN = ffprobe.paper_setting("fcn", "cifar10", 100)


class Information(ffprobe.PerRunProbe):
    """Lower bounds of the mutual information between each layer's activations and the label, in bits.

    The bound is the label's entropy minus the cross-entropy of a classifier on held-out images (Barber and Agakov). The
    true value is larger on average, by an unknown amount. The classifiers are those of ``probes``, calibrated on images
    that they were not fitted on, with probabilities averaged over fits. The table also has the information in the
    predicted label alone, from the classifier's confusion matrix. Activations are reduced before recording; a lower
    bound for the reduced activations is also a lower bound for the full ones.
    """

    name = "information"
    source = "Barber and Agakov 2003; Trifecta (arXiv:2311.18130) Appendix E argues with it and measures accuracy"
    needs = frozenset({"activations"})
    question = "How many bits about the label can be read from each layer, at least?"
    settings_in_extra = True

    class Params(ffprobe.Params):
        """Settings of the classifiers."""

        hidden: int = Field(64, ge=1, le=4096, description="number of hidden units of the multi-layer classifier")
        repeats: int = Field(5, ge=1, le=100, description="number of fits of each linear classifier, averaged")
        mlp_repeats: int = Field(3, ge=1, le=100, description="number of fits of each multi-layer classifier, averaged")
        l2: float = Field(1.0, ge=0, description="L2 penalty, l2 / 2 * ||W||^2, added to the summed loss")
        seed: int = Field(
            0, ge=0, lt=2**31, description="random seed for the subsets of images, initial weights and bootstrap"
        )
        resamples: int = Field(
            1000, ge=100, le=100_000, description="number of bootstrap resamples of the confusion matrix"
        )

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunInformation:
        return _RunInformation(run, label, self.params)

    def columns(self, results: Sequence[_RunInformation]) -> list[ffprobe.Column]:
        column = ffprobe.Column
        columns = [
            column("depth", "", "layer number, from 1; 0 is the input", key=True),
            column("layer", "", "layer number, from 1, as text; input is the image itself", key=True),
            column("stage", "", "before (pre) or after (post) the normalizer", key=True),
        ]
        for head, what in (("linear", "linear classifier"), ("mlp", "multi-layer classifier")):
            named = f"I(prediction; y) of the {what}"
            columns += [
                column(head, "bit", f"lower bound of I(h; y) by the {what}, after training", ".2f"),
                column(f"{head}_se", "bit", "standard error over held-out images", ".2f", spread_of=head),
                column(f"untrained_{head}", "bit", f"lower bound by the {what}, before training", ".2f"),
                column(f"{head}_named", "bit", f"{named}, Miller-Madow corrected", ".2f", detail=True),
                column(
                    f"{head}_named_low",
                    "bit",
                    "lower end of its 95 % bootstrap interval",
                    ".2f",
                    low_of=f"{head}_named",
                ),
                column(
                    f"{head}_named_high",
                    "bit",
                    "upper end of its 95 % bootstrap interval",
                    ".2f",
                    high_of=f"{head}_named",
                ),
                column(f"{head}_named_plug_in", "bit", f"{named}, not corrected", ".2f", detail=True),
            ]
        return columns

    def notes(self, results: Sequence[_RunInformation], claims: Sequence[ffprobe.Claim]) -> list[str]:
        return super().notes(results, claims) + NOTES

    def claims(self, results: Sequence[_RunInformation]) -> list[ffprobe.Claim]:
        return [claim for claim in (_loss(results),) if claim]

    def draw(self, figure: Figure, results: Sequence[_RunInformation]) -> None:
        """Linear above multi-layer; one colour per run, filled before and hollow after the normalizer."""
        from matplotlib.lines import Line2D

        top, bottom = figure.subplots(2, 1, sharex=True)
        most = max(result.entropy for result in results)
        for axes, column, title in ((top, 3, "linear"), (bottom, 10, "multi-layer")):
            labelled = axes is top or len(results) <= 6
            runs = [(result.label if labelled else "", result.rows()) for result in results]
            for level in {row[column] for result in results for row in result.rows() if row[0] == 0}:
                axes.axhline(level, **RAW)
            axes.axhline(most, **MOST)
            ylabel = f"I(h; y) by {title} (bit)"
            ffprobe.stage_lines(axes, runs, column, column + 2, ylabel, error=column + 1)
            axes.label_outer()
        raw, most_possible = Line2D([], [], **RAW), Line2D([], [], **MOST)
        key = {**ffprobe.stage_key(), "raw input": raw, "entropy of the label": most_possible}
        figure.legend(list(key.values()), list(key), loc="outside lower center", ncols=2)

    def figure_size(self, results: Sequence[_RunInformation]) -> tuple[float, float]:
        return 3.25, 4.4


NOTES = [
    "linear and mlp are lower bounds on average (± one standard error over held-out images): a layer may contain more"
    " information than these classifiers, fitted on so few images, can read.",
    "named is the information in the classifier's prediction alone, with Miller and Madow's correction and a 95 %"
    " bootstrap interval; plug_in is the uncorrected estimate.",
]
RAW: dict[str, Any] = {"color": "0.45", "linewidth": 0.8, "linestyle": (0, (6, 2)), "zorder": 1}
MOST: dict[str, Any] = {"color": "0.2", "linewidth": 0.8, "linestyle": "-", "zorder": 1}


class _RunInformation:
    """The bounds of one run."""

    def __init__(self, run: ffprobe.RunFile, label: str, params: Any) -> None:
        import numpy as np

        self.run, self.label, self.recorded = run, label, ffprobe.RecordedActivations(run)
        recorded, self.params = self.recorded, params
        self.classes = np.unique(recorded.truth[~recorded.held])
        held_out = recorded.truth[recorded.held]
        unseen = sorted(set(held_out.tolist()) - set(self.classes.tolist()))
        if unseen:
            what = f"Class {unseen[0]} is among the held-out images but not among the images to fit on."
            hint = "Record more images: --set recording.samples=..."
            raise ffprobe.FileError(what, where=str(run.path), hint=hint)
        self.truth = np.searchsorted(self.classes, held_out)
        share = np.bincount(self.truth) / max(1, len(self.truth))
        self.entropy = float(-(share[share > 0] * np.log2(share[share > 0])).sum())
        self._rows = list(self._fit())

    def _fit(self) -> Iterator[tuple[Any, ...]]:
        """(depth, layer, stage, then as the columns)."""
        recorded, params = self.recorded, self.params
        common: dict[str, Any] = {"seed": params.seed, "l2": params.l2}
        heads = {
            "linear": ffprobe.fit_recorded_heads(recorded, repeats=params.repeats, **common),
            "mlp": ffprobe.fit_recorded_heads(recorded, repeats=params.mlp_repeats, hidden=params.hidden, **common),
        }
        estimates = {
            (head, recording): self._estimate(fitted.log_probabilities)
            for head, recordings in heads.items()
            for recording, fitted in recordings.items()
        }
        nothing = (float("nan"),) * 6
        for place in recorded.places:
            values: list[float] = []
            for head in heads:
                bits, error, *named = estimates[head, (place, -1)]
                values += [bits, error, estimates.get((head, (place, 0)), nothing)[0], *named]
            yield (*place.cells, *values)

    def _estimate(self, mean: np.ndarray) -> tuple[float, ...]:
        """(bound, its error, Miller-Madow, low, high, plug-in) from log-probabilities ``[images, classes]``."""
        import numpy as np

        bound = ffprobe.label_information_bound(mean, self.truth)
        counts = np.zeros((len(self.classes),) * 2, int)
        np.add.at(counts, (self.truth, mean.argmax(axis=1)), 1)
        named = ffprobe.confusion_information(counts, resamples=self.params.resamples, seed=self.params.seed)
        return bound.bits, bound.high - bound.bits, named.miller_madow, named.low, named.high, named.plug_in

    def rows(self) -> list[tuple[Any, ...]]:
        return self._rows

    def notes(self) -> Iterator[str]:
        held_out, fit = len(self.truth), len(self.recorded.truth) - len(self.truth)
        yield (
            f"{fit} images to fit on, {held_out} held out, after epoch {self.recorded.last_epoch}; the label has"
            f" {self.entropy:.2f} bits, the maximum."
        )
        if any(v < 0 for row in self._rows for v in row[3:] if v == v):
            yield "An estimate below 0 is noise, or its classifier is worse than the class frequencies alone."
        if not all(self.recorded.untrained(place) for place in self.recorded.places if place.depth):
            yield "The untrained network was not recorded, so there is no floor."

    def to_dict(self) -> dict[str, Any]:
        counts = {"held_out_images": len(self.truth), "label_entropy_bits": self.entropy}
        return {"label": self.label, "path": str(self.run.path), **counts, "epoch": self.recorded.last_epoch}


def _loss(results: Sequence[_RunInformation]) -> ffprobe.Claim | None:
    """Trifecta, Appendix E: layer normalization loses information with depth."""
    verdicts: list[ffprobe.RunVerdict] = []
    for result in results:
        components = ffprobe.run_components(result.run)
        if components.get("normalizer") not in LENGTH or components.get("rule") != "forward-forward":
            continue
        label = result.label if len(results) > 1 else ""
        mlp = [row[10:12] for row in result.rows() if row[0] and row[2] == "pre"]
        if len(mlp) < LEAST_LAYERS:
            verdicts.append(ffprobe.judge(result.run, label, None, f"fewer than {LEAST_LAYERS} layers", paper=FCN))
            continue
        (first, a), (last, b) = mlp[0], mlp[-1]
        error = (a**2 + b**2) ** 0.5
        p = ffprobe.normal_p(first - last, error)
        agrees = first > last if p < 0.05 else None
        text = f"at least {first:.2f} ± {a:.2f} bits at the first layer, {last:.2f} ± {b:.2f} at the last"
        text += f" ({components['normalizer']}, multi-layer classifier)"
        verdicts.append(ffprobe.judge(result.run, label, agrees, text, p=p, paper=FCN))
    claim = (
        "under layer normalization layers lose information with depth (argued from mutual information, measured as the"
        " accuracy of a multi-layer classifier: CIFAR-10, VFF+SymBa/f)."
    )
    return ffprobe.joint_claim("Trifecta, Appendix E", claim, verdicts)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Information]
