"""Holding images out of the training set for validation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ffprobe.data.images import Images
from ffprobe.errors import UsageError

if TYPE_CHECKING:
    import torch


def hold_out(images: Images, fraction: float, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Splits images at random into those for training and those for validation, class by class.

    Of each class the same share is held out, rounded; at least one image when the class has two or more, and never all.

    Args:
        images: the training set.
        fraction: share held out, from 0 (nothing) to below 1.
        generator: a CPU generator, the only source of randomness.

    Returns:
        Two ascending int64 tensors of places in ``images``, ``[M]`` for training and ``[N - M]`` for validation.

    Raises:
        UsageError: ``fraction`` is not in that range.
    """
    import torch

    if not 0 <= fraction < 1:
        raise UsageError(f"The share held out for validation must be at least 0 and below 1, it is {fraction}.")
    held = torch.zeros(len(images), dtype=torch.bool)
    if fraction > 0:
        for label in range(len(images.classes)):
            places = (images.labels == label).nonzero().flatten()
            count = min(max(1, round(fraction * len(places))), max(0, len(places) - 1))
            held[places[torch.randperm(len(places), generator=generator)[:count]]] = True
    return (~held).nonzero().flatten(), held.nonzero().flatten()
