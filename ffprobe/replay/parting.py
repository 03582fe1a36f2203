"""Where two replays of one recording first part: in which step, layer and quantity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ffprobe.replay.trace import Trace

QUANTITIES = ("trained layers", "loss", "goodness", "weights", "running statistics")
"""What is compared in each step, in the order in which a step computes it."""


@dataclass(frozen=True)
class Parting:
    """The first difference between a recording and a preset.

    Attributes:
        step: number of the step, from 1.
        layer: number of the layer, from 1; 0 for the encoder.
        quantity: one of ``QUANTITIES``.
        recording: what the recording has, in words.
        preset: what the preset has, in words.
        deviation: largest absolute deviation; infinity if only one of them has a value.
    """

    step: int
    layer: int
    quantity: str
    recording: str
    preset: str
    deviation: float

    @property
    def rank(self) -> tuple[float, float]:
        """How far the two agree: greater is further."""
        return self.step, QUANTITIES.index(self.quantity)

    def __str__(self) -> str:
        where = f"layer {self.layer}" if self.layer else "the encoder"
        return f"step {self.step}, {where}, {self.quantity}: {self.recording} in the recording, {self.preset} here"


def first_parting(recording: Trace, preset: Trace) -> Parting | None:
    """The first parting of two traces with the same initial weights and batches; None if they agree to the end.

    Losses and goodness may differ by 1e-5 and 1e-4 of their value (1e-9 and 1e-9 in float64), weights by 2e-5 (1e-9).
    """
    before = recording.start, preset.start
    for step, (ours, theirs) in enumerate(zip(recording.steps, preset.steps, strict=True), 1):
        wide = ours.loss.dtype == torch.float64
        absolute, relative, limit = (1e-9, 1e-9, 1e-9) if wide else (1e-5, 1e-4, 2e-5)
        trained = [sorted(row) for row in (_with_loss(ours.loss), _with_loss(theirs.loss))]
        if trained[0] != trained[1]:
            layer = min(set(trained[0]) ^ set(trained[1])) + 1
            words = ["a loss on " + (_layers(row) or "no layer") for row in trained]
            return Parting(step, layer, "trained layers", words[0], words[1], float("inf"))
        pairs = [("loss", ours.loss, theirs.loss)]
        pairs += [("goodness", ours.positive, theirs.positive), ("goodness", ours.negative, theirs.negative)]
        for quantity, a, b in pairs:
            differs = (a - b).abs() > absolute + relative * a.abs()
            if differs.any():
                at = int(differs.nonzero()[0])
                size = float((a - b).abs()[at])
                return Parting(step, at + 1, quantity, f"{float(a[at]):.6g}", f"{float(b[at]):.6g}", size)
        moved = [_moves(old, new.state) for old, new in zip(before, (ours, theirs), strict=True)]
        for quantity in ("weights", "running statistics"):
            for name, size in _deviations(ours.state, theirs.state, limit):
                if (name in recording.parameters) == (quantity == "weights"):
                    words = [f"moved by {m[name]:.2g}" if m[name] else "not moved" for m in moved]
                    return Parting(step, _layer(name), quantity, f"{name} {words[0]}", words[1], size)
        before = ours.state, theirs.state
    return None


def _with_loss(loss: torch.Tensor) -> list[int]:
    return [int(index) for index in (~loss.isnan()).nonzero().flatten()]


def _layers(indices: list[int]) -> str:
    return ("layer " if len(indices) == 1 else "layers ") + ", ".join(str(i + 1) for i in indices) if indices else ""


def _moves(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> dict[str, float]:
    return {name: float((value - before[name]).abs().max()) for name, value in after.items()}


def _deviations(
    ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor], limit: float
) -> Iterator[tuple[str, float]]:
    for name in sorted(set(ours) & set(theirs), key=lambda name: (_layer(name), name)):
        largest = float((ours[name] - theirs[name]).abs().max())
        if not largest <= limit * max(1.0, float(ours[name].abs().max())):
            yield name, largest


def _layer(name: str) -> int:
    first = name.partition(".")[0]
    return int(first) + 1 if first.isdigit() else 0
