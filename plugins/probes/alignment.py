"""Does a layer's local gradient point where backpropagation's points? Cosine, with a floor for random signs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ffprobe_plugins.probes.error_signals import SandboxParams, record_signals, sandbox_variables

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    import torch
    from ffprobe_plugins.probes.error_signals import ErrorSignal
    from matplotlib.figure import Figure

RECORD = "Train again with --plugin alignment."
MEASURES = ("cosine", "floor", "signs")
TIMES = 2.0
"""A cosine counts if it exceeds the floor this many times: by chance, about one in twenty does."""


class Alignment(ffprobe.PerRunProbe):
    """Cosine of each layer's local weight gradient and backpropagation's on the same weights and images.

    ``local`` is the gradient that the run's own rule gives the layer's weight (under overlapping updates that of the
    layer's own loss), ``backprop`` that of the cross entropy with the last layer's goodness as logits, through all
    layers. Where goodness has the form ``pair``, that takes one pass for each candidate label.

    A cosine far from 0 may still be an accident, if few weights carry the gradients or if they are tiny and rounded.
    The ``floor`` is the standard deviation of the cosine if the signs of the local gradient were random and its sizes
    were kept: ``sqrt(sum l_i^2 b_i^2) / (|l| |b|)``. It is ``1 / sqrt(n)`` for n weights of the same size, and 1 if a
    single weight carries both. ``aligned`` is the share of sandboxes in which the cosine is above twice the floor,
    ``against`` that in which it is below minus twice the floor; a layer whose gradient is exactly 0 has no cosine and
    counts in neither. ``signs`` is the share of equal signs among weights with both gradients, where random is half.

    It is measured in a sandbox, at regular step intervals, on the first images of the epoch's last batch.
    """

    name = "alignment"
    source = (
        "cosine of local and backpropagated gradients as in feedback alignment (Lillicrap and others 2016); floor by"
        " random signs: own derivation"
    )
    question = "Does the local gradient of each layer point where backpropagation's points?"

    class Params(SandboxParams):
        """Settings of the recording."""

    def variables(self, run: ffprobe.RunContext) -> list[ffprobe.Variable]:
        dims, variables = sandbox_variables(run)
        variable = ffprobe.Variable
        texts = (
            "cosine of local and backpropagated gradient of the weight",
            "standard deviation of this cosine under random signs",
            "share of equal signs among weights with both gradients",
        )
        return [
            *variables,
            *(
                variable(name, ("row", "layer"), "f4", "1", text, dimensions=dims)
                for name, text in zip(MEASURES, texts, strict=True)
            ),
        ]

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context: ffprobe.EpochContext) -> None:
        if (signals := record_signals(context, self.params)) is None:
            return
        rows = [_compare(*signals, index) for index in range(len(context.run.layers))]
        for name, values in zip(MEASURES, zip(*rows, strict=True), strict=True):
            context.record(name, list(values))

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunAlignment:
        return _RunAlignment(run, label)

    def columns(self, results: Sequence[_RunAlignment]) -> list[ffprobe.Column]:
        column = ffprobe.Column
        return [
            column("depth", "", "layer number, from 1", key=True),
            column("cosine", "1", "cosine of local and backpropagated gradient, mean over sandboxes", "+.3f"),
            column("floor", "1", "standard deviation of the cosine under random signs, mean over sandboxes", ".3f"),
            column("aligned", "%", f"sandboxes with a cosine above {TIMES:g} floors", ".0f"),
            column("against", "%", f"sandboxes with a cosine below -{TIMES:g} floors", ".0f"),
            column("signs", "%", "equal signs among weights with both gradients; random is 50", ".1f"),
        ]

    def draw(self, figure: Figure, results: Sequence[_RunAlignment]) -> None:
        """The mean cosine by layer; dotted, twice the floor."""
        axes, series = figure.subplots(), []
        for colour, result in enumerate(results):
            columns = list(zip(*result.rows(), strict=True))
            label = result.label if len(results) > 1 else ""
            x = columns[0]
            series.append(ffprobe.Series(label=label, x=x, y=columns[1], colour=colour))
            floor = [TIMES * value for value in columns[2]]
            series.append(ffprobe.Series(label="", x=x, y=floor, colour=colour, look="floor"))
        axes.axhline(0, color="0.45", linewidth=0.8, zorder=1)
        ffprobe.line_by_layer(axes, series, ylabel="cosine with backprop")


def compare_gradients(local: torch.Tensor, other: torch.Tensor) -> tuple[float, float, float]:
    """Cosine, its standard deviation under random signs of ``local``, and the share of equal signs.

    Args:
        local: a gradient.
        other: of the same shape.

    Returns:
        NaN where a gradient is 0 everywhere, or for the signs where no weight has both gradients.
    """
    a, b = (gradient.detach().flatten().cpu().double() for gradient in (local, other))
    if not a.any() or not b.any():
        return (float("nan"),) * 3
    a, b = a / a.abs().max(), b / b.abs().max()  # squares of tiny numbers would be 0
    product, norm = a * b, a.norm() * b.norm()
    both = product != 0
    signs = (product[both] > 0).double().mean()
    return float(product.sum() / norm), float(product.square().sum().sqrt() / norm), float(signs)


def _compare(
    local: Mapping[int, ErrorSignal], other: Mapping[int, ErrorSignal], index: int
) -> tuple[float, float, float]:
    """The measures of one layer; NaN where it lacks a gradient."""
    a, b = (signals[index].weight if index in signals else None for signals in (local, other))
    return (float("nan"),) * 3 if a is None or b is None else compare_gradients(a, b)


class _RunAlignment:
    """The alignment of one run."""

    def __init__(self, run: ffprobe.RunFile, label: str) -> None:
        self.run, self.label = run, label
        group = "probes/alignment"
        if not run.has(f"{group}/cosine"):
            raise ffprobe.FileError("No alignment was recorded in this run.", where=str(run.path), hint=RECORD)
        self.steps = [int(step) for step in run.read(f"{group}/step")]
        if not self.steps:
            hint = "Resume the run until its first epoch is committed."
            raise ffprobe.FileError("The file has no alignment yet.", where=str(run.path), hint=hint)
        self.images = int(run.read(f"{group}/images")[-1])
        self.cosine, self.floor, self.signs = (run.read(f"{group}/{name}").astype(float) for name in MEASURES)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        for i in range(self.cosine.shape[1]):
            cosine, floor = self.cosine[:, i], self.floor[:, i]
            known = cosine == cosine
            shares = [100 * _mean(sign * cosine[known] > TIMES * floor[known]) for sign in (1, -1)]
            yield (i + 1, _mean(cosine[known]), _mean(floor[known]), *shares, 100 * _mean(self.signs[known, i]))

    def notes(self) -> Iterator[str]:
        steps = ", ".join(map(str, self.steps[:6])) + " ..." * (len(self.steps) > 6)
        yield f"{len(self.steps)} sandboxes, after step {steps}, with {self.images} images."
        missing = [str(i + 1) for i in range(self.cosine.shape[1]) if (self.cosine[:, i] != self.cosine[:, i]).all()]
        if missing:
            yield f"no cosine in layer {', '.join(missing)}: one of its gradients is 0, missing, or not defined."

    def to_dict(self) -> dict[str, Any]:
        measures = {"cosine": self.cosine, "floor": self.floor, "signs": self.signs}
        return {"label": self.label, "path": str(self.run.path), "steps": self.steps, "images": self.images, **measures}


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Alignment]
