"""How does the distribution that a layer learns on move while the layers before it learn?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure


class Drift(ffprobe.PerRunProbe):
    """Movement of each layer's input between successive recorded epochs, on the same images.

    The input of a layer is the recorded activation of the layer before it, by default after the normalizer. The first
    layer's input is the image, which does not move. Between two recordings X and Y of the same images:

    - ``frechet``: the squared Fréchet distance of normal distributions with their means and covariances,
      ``|m_X - m_Y|^2 + tr(C_X + C_Y - 2 (C_X C_Y)^(1/2))``, divided by ``tr C_X``: 0 if mean and covariance stay,
      1 if the mean moves by as much as the images scatter;
    - ``mean``: the first term alone;
    - ``cka``: debiased linear CKA, 1 if the input only rotates, shifts or is scaled. It says whether the layer's input
      still distinguishes the same images, the distance whether the layer must learn again.

    A run records activations of the untrained network and after the last epoch; name the epochs between with
    ``--set recording.epochs=[1,2,5]``.
    """

    name = "drift"
    source = (
        "Fréchet distance: Dowson and Landau 1982, Heusel and others 2017 (arXiv:1706.08500); CKA: Kornblith and"
        " others 2019 (arXiv:1905.00414)"
    )
    needs = frozenset({"activations"})
    question = "How far does the distribution of each layer's input move between recorded epochs?"
    settings_in_extra = True

    class Params(ffprobe.Params):
        """Which activations are the next layer's input."""

        stage: Literal["pre", "post"] = Field(
            "post", description="activations before (pre) or after (post) the normalizer"
        )

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunDrift:
        return _RunDrift(run, label, self.params.stage)

    def columns(self, results: Sequence[_RunDrift]) -> list[ffprobe.Column]:
        column = ffprobe.Column
        return [
            column("epoch", "epoch", "number of completed epochs at the later recording", key=True),
            column("depth", "", "number of the layer whose input it is, from 2", key=True),
            column("since", "epoch", "number of completed epochs at the earlier recording", "d"),
            column("frechet", "1", "squared Fréchet distance over the variance of the earlier recording", ".3f"),
            column("mean", "1", "the same of the means alone", ".3f"),
            column("cka", "1", "debiased linear CKA of both recordings", ".3f"),
        ]

    def draw(self, figure: Figure, results: Sequence[_RunDrift]) -> None:
        """With one run, a line per layer over epochs; with several, the sum over epochs by layer."""
        axes, several = figure.subplots(), len(results) > 1
        if several:
            series = [
                ffprobe.Series(label=result.label, x=list(totals), y=list(totals.values()))
                for result in results
                for totals in [result.totals()]
            ]
        else:
            rows = results[0].rows()
            series = []
            for depth in sorted({row[1] for row in rows}):
                own = [row for row in rows if row[1] == depth]
                x, y = [row[0] for row in own], [row[3] for row in own]
                series.append(ffprobe.Series(label=f"layer {depth}", x=x, y=y))
        ylabel = "input drift, all epochs" if several else "input drift"
        ffprobe.line_by_layer(axes, series, xlabel="layer" if several else "epoch", ylabel=ylabel)
        axes.set_ylim(bottom=0)


def frechet(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """The squared Fréchet distance of two samples as normal distributions, and of their means, over the variance.

    The trace of ``(C_X C_Y)^(1/2)`` is the nuclear norm of ``R_X R_Y'``, with R of the QR decompositions of the centred
    samples, divided by the number of images.

    Args:
        first: ``[N, units]``; its total variance divides both results.
        second: ``[N, units]``.

    Returns:
        Distance and the means' part of it; NaN if all rows of ``first`` are equal.
    """
    import numpy as np

    x, y = (np.asarray(sample, float) for sample in (first, second))
    if (x == x[:1]).all():
        return float("nan"), float("nan")
    shift = float(np.square(x.mean(axis=0) - y.mean(axis=0)).sum())
    x, y = (sample - sample.mean(axis=0) for sample in (x, y))
    n = len(x)
    variances = [float(np.square(sample).sum()) / n for sample in (x, y)]
    small: list[Any] = [np.linalg.qr(sample, mode="r") if n > sample.shape[1] else sample for sample in (x, y)]
    cross = float(np.linalg.norm(small[0] @ small[1].T, "nuc")) / n
    return max(0.0, shift + sum(variances) - 2 * cross) / variances[0], shift / variances[0]


class _RunDrift:
    """The drift of one run."""

    def __init__(self, run: ffprobe.RunFile, label: str, stage: str) -> None:
        self.run, self.label, self.stage = run, label, stage
        self.recorded = ffprobe.RecordedActivations(run)
        last = len(self.recorded.layers)
        self.places = [place for place in self.recorded.places if 0 < place.depth < last and place.stage == stage]
        if not self.places:
            what = "The activations of no layer that another one learns on were recorded."
            raise ffprobe.FileError(what, where=str(run.path), hint="Use a network of two layers or more.")
        self.pairs = [(place, row) for place in self.places for row in range(1, len(self.recorded.epochs[place]))]
        if not self.pairs:
            hint = "Train again with --set recording.epochs=[1,2,5] (and without --resume from an old file)."
            raise ffprobe.FileError("Activations were recorded only once.", where=str(run.path), hint=hint)
        shape = {"drift": (len(self.pairs), 3)}
        values = ffprobe.cached("drift", [run], {"stage": stage}, shape, lambda: {"drift": self._all()})["drift"]
        rows = []
        for (place, row), (distance, means, cka) in zip(self.pairs, values.tolist(), strict=True):
            since, epoch = self.recorded.epochs[place][row - 1 : row + 1]
            rows.append((epoch, place.depth + 1, since, distance, means, cka))
        self._rows = sorted(rows)

    def _all(self) -> np.ndarray:
        """Distance, its means' part and CKA of every pair, ``[pairs, 3]``."""
        import numpy as np

        values = []
        for place, row in self.pairs:
            ffprobe.report_progress(f"{self.run.path}: input of layer {place.depth + 1}")
            before, after = (np.asarray(self.recorded.matrix(place, k)) for k in (row - 1, row))
            if not (np.isfinite(before).all() and np.isfinite(after).all()):
                hint = "The run diverged; check its losses and its learning rate."
                where = self.recorded.matrix(place, row).name
                raise ffprobe.FileError("The activations contain NaN or infinity.", where=where, hint=hint)
            centred = ffprobe.CentredFeatures(before), ffprobe.CentredFeatures(after)
            values.append([*frechet(before, after), ffprobe.linear_cka(*centred)])
        return np.array(values)

    def rows(self) -> list[tuple[Any, ...]]:
        return self._rows

    def totals(self) -> dict[int, float]:
        """Distances summed over recordings, by layer."""
        return {p.depth + 1: sum(row[3] for row in self._rows if row[1] == p.depth + 1) for p in self.places}

    def notes(self) -> Iterator[str]:
        recorded, epochs = self.recorded, self.recorded.epochs[self.places[0]]
        text = ", ".join(str(epoch) if epoch else "untrained" for epoch in epochs)
        yield f"{len(recorded.truth)} images with the neutral label, recorded at epoch {text}; stage {self.stage}."
        if len(epochs) == 2:
            yield "Only two recordings: movement within training needs --set recording.epochs=[1,2,5]."
        if pooled := recorded.pooled():
            yield f"Activations were reduced before recording ({pooled})."
        if dead := sorted({row[1] for row in self._rows if row[3] != row[3]}):
            layers = ", ".join(map(str, dead))
            yield f"The input of layer {layers} was the same for every image, so its movement has no unit: a dash."

    def to_dict(self) -> dict[str, Any]:
        epochs = self.recorded.epochs[self.places[0]]
        return {"label": self.label, "path": str(self.run.path), "images": len(self.recorded.truth), "epochs": epochs}


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Drift]
