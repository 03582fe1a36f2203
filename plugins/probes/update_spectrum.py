"""In how many directions did training move each layer's weight? Singular values of the weight change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

import ffprobe

if TYPE_CHECKING:
    import numpy as np
    import torch
    from matplotlib.figure import Figure

RECORD = "Train again with --plugin update-spectrum."
KEPT = 64
"""Number of singular values that are recorded, largest first."""
MEASURES = {
    "relative": "norm of the weight change over the norm of the untrained weight",
    "effective_rank": "(sum of squared singular values)^2 / sum of their fourth powers",
    "stable_rank": "sum of squared singular values / the largest of them squared",
}


class UpdateSpectrum(ffprobe.PerRunProbe):
    """Singular values of each layer's weight change since the untrained network, ``W - W_0``.

    A convolution is the matrix of outputs by inputs and kernel positions. With singular values s: ``effective_rank`` is
    ``(sum s^2)^2 / sum s^4``, ``stable_rank`` is ``sum s^2 / max s^2``. Both are 1 for a change in one direction and at
    most the smaller side of the matrix. ``random_rank`` is the effective rank of a matrix of the same m x n with
    independent normal entries (ratio of expectations): ``m n / (m + n + 1)``; a change far below it is structured.

    Recorded at regular step intervals. The untrained weights are kept in the checkpoint, so a resumed run continues.
    """

    name = "update-spectrum"
    source = (
        "stable rank: Rudelson and Vershynin 2007; effective rank as in ffprobe analyze credit; floor: own derivation"
    )
    question = "In how many directions did training move each layer's weight?"

    class Params(ffprobe.Params):
        """Settings of the recording."""

        every: int = Field(
            500, ge=1, description="minimum number of steps between two recordings; one always runs at the end"
        )

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self._initial: dict[int, torch.Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        return {"initial": self._initial} if self._initial else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._initial = dict(state.get("initial", {}))

    def variables(self, run: ffprobe.RunContext) -> list[ffprobe.Variable]:
        names = tuple(layer.name for layer in run.layers)
        dims = (
            ffprobe.Dimension("row", None, long_name="recording"),
            ffprobe.Dimension("layer", len(names), "str", names, long_name="layer, first to last"),
            ffprobe.Dimension("value", KEPT, long_name="singular value, largest first"),
        )
        variable, both = ffprobe.Variable, ("row", "layer")
        singular = "singular value of the weight change; NaN beyond the last"
        random = "effective rank of independent normal entries"
        return [
            variable("step", ("row",), "i8", "step", "number of optimizer steps", dimensions=dims),
            variable("singular", (*both, "value"), long_name=singular, dimensions=dims),
            variable("random_rank", both, long_name=random, dimensions=dims),
            *(variable(name, both, long_name=text, dimensions=dims) for name, text in MEASURES.items()),
        ]

    @ffprobe.hookimpl
    def ffprobe_before_run(self, context: ffprobe.RunContext) -> None:
        if not self._initial:  # a resumed run restores them from the checkpoint
            weights = [context.network.layer(i).weight for i in range(len(context.layers))]
            self._initial = {i: w.detach().cpu().clone() for i, w in enumerate(weights) if w is not None}

    @ffprobe.hookimpl
    def ffprobe_after_epoch(self, context: ffprobe.EpochContext) -> None:
        import numpy as np

        if not context.due(self.params.every):
            return
        depth = len(context.run.layers)
        table = {name: np.full(depth, np.nan) for name in (*MEASURES, "random_rank")}
        singular = np.full((depth, KEPT), np.nan)
        for i, before in self._initial.items():
            found, values = spectrum(context.run.network.layer(i).weight.detach().cpu(), before)
            for name, value in found.items():
                table[name][i] = value
            singular[i, : min(KEPT, len(values))] = values[:KEPT]
        context.record("step", context.step)
        context.record("singular", singular)
        for name, row in table.items():
            context.record(name, row)

    def analyze_run(self, run: ffprobe.RunFile, label: str) -> _RunSpectrum:
        return _RunSpectrum(run, label)

    def columns(self, results: Sequence[_RunSpectrum]) -> list[ffprobe.Column]:
        column = ffprobe.Column
        return [
            column("step", "step", "number of optimizer steps", key=True),
            column("depth", "", "layer number, from 1", key=True),
            column("relative", "1", MEASURES["relative"], ".3g"),
            column("largest", "1", "largest singular value of the weight change", ".3g"),
            column("effective_rank", "1", MEASURES["effective_rank"], ".1f"),
            column("stable_rank", "1", MEASURES["stable_rank"], ".1f"),
            column("random_rank", "1", "effective rank of independent normal entries of this shape", ".1f"),
        ]

    def draw(self, figure: Figure, results: Sequence[_RunSpectrum]) -> None:
        """Effective rank of the last recording by layer; dotted, that of random entries."""
        axes, series = figure.subplots(), []
        for colour, result in enumerate(results):
            x = range(1, result.singular.shape[1] + 1)
            rank, random = (result.measures[name][-1].tolist() for name in ("effective_rank", "random_rank"))
            label = result.label if len(results) > 1 else "weight change"
            series.append(ffprobe.Series(label=label, x=x, y=rank, colour=colour))
            name = "" if len(results) > 1 else "random"
            series.append(ffprobe.Series(label=name, x=x, y=random, colour=colour, look="floor"))
        axes.set_yscale("log")
        ffprobe.line_by_layer(axes, series, ylabel="effective rank of weight change")


def spectrum(after: torch.Tensor, before: torch.Tensor) -> tuple[dict[str, float], np.ndarray]:
    """The measures of a weight change, and its singular values, largest first.

    Args:
        after: ``[outputs, ...]``.
        before: of the same shape.

    Returns:
        ``MEASURES`` and ``random_rank``; the ranks are NaN if nothing changed or a weight is not finite.
    """
    import torch

    change = (after.double() - before.double()).reshape(len(after), -1)
    m, n = change.shape
    finite = bool(change.isfinite().all())
    values = torch.linalg.svdvals(change) if finite else torch.full((min(m, n),), torch.nan)
    squares = values.double().square()
    scaled = squares / squares[0]  # fourth powers of tiny numbers would be 0
    measures = {
        "relative": float(change.norm() / before.double().norm()),
        "effective_rank": float(scaled.sum() ** 2 / scaled.square().sum()),
        "stable_rank": float(scaled.sum()),
        "random_rank": m * n / (m + n + 1),
    }
    return measures, values.numpy()


class _RunSpectrum:
    """The weight changes of one run."""

    def __init__(self, run: ffprobe.RunFile, label: str) -> None:
        self.run, self.label = run, label
        group = "probes/update-spectrum"
        if not run.has(f"{group}/singular"):
            raise ffprobe.FileError("No weight changes were recorded in this run.", where=str(run.path), hint=RECORD)
        self.steps = [int(step) for step in run.read(f"{group}/step")]
        if not self.steps:
            hint = "Resume the run until its first epoch is committed."
            raise ffprobe.FileError("The file has no weight changes yet.", where=str(run.path), hint=hint)
        self.singular: np.ndarray = run.read(f"{group}/singular").astype(float)  # [row, layer, value]
        names = (*MEASURES, "random_rank")
        self.measures: dict[str, np.ndarray] = {name: run.read(f"{group}/{name}").astype(float) for name in names}

    def rows(self) -> Iterator[tuple[Any, ...]]:
        relative, effective, stable, random = (self.measures[name] for name in (*MEASURES, "random_rank"))
        for row, step in enumerate(self.steps):
            for i in range(self.singular.shape[1]):
                largest = self.singular[row, i, 0]
                ranks = (effective[row, i], stable[row, i], random[row, i])
                yield (step, i + 1, *map(float, (relative[row, i], largest, *ranks)))

    def notes(self) -> Iterator[str]:
        yield "Changes are counted from the untrained network; ranks are at most the smaller side of the matrix."
        still = [str(i + 1) for i, value in enumerate(self.measures["relative"][-1]) if value == 0]
        if still:
            yield f"layer {', '.join(still)} did not change, so it has no rank."

    def to_dict(self) -> dict[str, Any]:
        return {"label": self.label, "path": str(self.run.path), "steps": self.steps, "singular": self.singular}


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [UpdateSpectrum]
