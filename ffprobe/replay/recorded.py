"""Recorded batches, wrong labels and layers in place of a loader, negatives and a network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from ffprobe.components.base import Shape
from ffprobe.components.negatives import Negatives
from ffprobe.components.network import LayerSpec, Network
from ffprobe.components.peer import ReplayPlan


class RecordedBatches:
    """The batches of a plan, in place of a loader.

    Args:
        plan: the plan of the replay.

    Raises:
        ValueError: inputs, labels, negatives, rates and epochs differ in length, or the inputs do not have the plan's
            shape.
    """

    def __init__(self, plan: ReplayPlan) -> None:
        self.x, self.labels = torch.from_numpy(plan.inputs), torch.from_numpy(plan.labels)
        self.negatives = None if plan.negatives is None else torch.from_numpy(plan.negatives)
        if tuple(self.x.shape[2:]) != tuple(plan.shape):
            raise ValueError(f"inputs have shape {list(self.x.shape)}, not [T, B, {', '.join(map(str, plan.shape))}]")
        for name, values in (("labels", self.labels), ("negatives", self.negatives)):
            if values is not None and (values.shape != self.x.shape[:2] or values.dtype != torch.int64):
                raise ValueError(f"{name} are {values.dtype} {list(values.shape)}, not int64 {list(self.x.shape[:2])}")
        for name, row in (("rates", plan.rates), ("epochs", plan.epochs)):
            if row is not None and len(row) != len(self.x):
                raise ValueError(f"there are {len(row)} {name} for {len(self.x)} steps")
        self.epochs = 1 if plan.epochs is None else int(max(plan.epochs)) + 1

    def __len__(self) -> int:
        return len(self.x)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        for x, labels in zip(self.x, self.labels, strict=True):
            yield x, labels, torch.arange(len(x))


def recorded_negatives(batches: RecordedBatches) -> type[Negatives]:
    """The recorded wrong labels, one batch per call."""
    assert batches.negatives is not None
    rows = iter(batches.negatives)

    class RecordedNegatives(Negatives):
        name = "recorded"

        def __call__(
            self, images: Any, labels: Any, classes: int, generator: Any, goodness: Any = None
        ) -> torch.Tensor:
            return next(rows)

    return RecordedNegatives


def recorded_network(plan: ReplayPlan, batches: RecordedBatches) -> type[Network]:
    """The plan's layers, and its learning rates as a schedule relative to the base rate 1."""
    total = batches.epochs * len(batches)
    steps = tuple((step / total, float(rate)) for step, rate in enumerate(plan.rates or ()))

    class RecordedNetwork(Network):
        name = "recorded"
        learning_rate_steps = steps

        def layers(self, shape: Shape, classes: int) -> list[LayerSpec]:
            return list(plan.layers)

    return RecordedNetwork
