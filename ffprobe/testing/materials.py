"""Test data for components: small shapes, images, activations and labels, the same every time."""

from __future__ import annotations

import math

import torch
from torch import nn

from ffprobe.components.base import Shape
from ffprobe.components.loss import LossContext

IMAGES: Shape = (3, 8, 8)
MAPS: Shape = (6, 4, 4)
SIGNALS: Shape = (6, 20)
VECTORS: Shape = (24,)

SHAPES: dict[str, Shape] = {"images": IMAGES, "feature maps": MAPS, "signals": SIGNALS, "vectors": VECTORS}
"""Input shapes of components between layers, without the batch dimension."""


def generator(seed: int = 0) -> torch.Generator:
    """A new CPU generator."""
    return torch.Generator().manual_seed(seed)


def numbers(count: int, shape: Shape, seed: int = 0) -> torch.Tensor:
    """Float32 ``[count, *shape]`` from N(0, 1), like images normalized by a loader."""
    return torch.randn(count, *shape, generator=generator(seed))


def activations(count: int, shape: Shape, seed: int = 0) -> torch.Tensor:
    """Float32 ``[count, *shape]`` after a ReLU: no value below 0, about half of them 0."""
    return numbers(count, shape, seed).relu()


def labels(count: int, classes: int) -> torch.Tensor:
    """Int64 ``[count]``, the classes in turn."""
    return torch.arange(count) % classes


def context(
    layer: int = 0,
    depth: int = 3,
    step: int = 0,
    form: str = "pair",
    rows: int = 8,
    classes: int = 10,
    module: nn.Module | None = None,
    at: Shape = MAPS,
) -> LossContext:
    """The context of a loss for a batch of ``rows`` images; activations have the shape ``at``."""
    seen = 2 * rows if form == "pair" else rows
    shape = (rows,) if form == "pair" else (rows, classes)
    earlier = []
    for index in range(layer):
        first, second = (numbers(1, shape, 10 * index + part)[0].square() for part in (1, 2))
        earlier.append((first, second) if form == "pair" else first)
    activation = activations(seen, at, 5).requires_grad_()
    given, images = numbers(seen, at, 6), numbers(seen, (3, *at[1:]) if len(at) > 1 else at, 7)
    return LossContext(layer, depth, step, 0, activation, labels(rows, classes), tuple(earlier), given, module, images)


def describe(value: object) -> str:
    """The dtype and shape of a tensor, or the type and repr of another value."""
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return " ".join(f"{type(value).__name__} {value!r}".split())[:120]


def distance(first: torch.Tensor, second: torch.Tensor) -> float:
    """The largest difference, relative to the largest absolute value in ``second``; NaN if either has a NaN."""
    if not first.numel():
        return 0.0
    first, second = first.detach().double(), second.detach().double()
    largest = float(second.abs().max())
    difference = float((first - second).abs().max())
    return difference / largest if largest > 0 and math.isfinite(largest) else difference


def is_finite(value: torch.Tensor) -> bool:
    """Whether no value is NaN or infinite."""
    return bool(torch.isfinite(value).all())
