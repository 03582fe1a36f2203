"""The validation set: images held out of the training set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ffprobe.data.images import Images
from ffprobe.errors import UsageError

if TYPE_CHECKING:
    import torch


def hold_out(images: Images, fraction: float, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Split images at random into training and validation images, stratified by class.

    The same fraction of each class is held out, rounded; at least one image if the class has two or more, and never
    all.

    Args:
        images: the training set.
        fraction: fraction to hold out, in [0, 1).
        generator: a CPU generator, the only source of randomness.

    Returns:
        Two ascending int64 tensors of indices into ``images``: ``[M]`` for training and ``[N - M]`` for validation.

    Raises:
        UsageError: ``fraction`` is not in that range.
    """
    import torch

    if not 0 <= fraction < 1:
        raise UsageError(f"The validation fraction must be at least 0 and below 1, but it is {fraction}.")
    held_out = torch.zeros(len(images), dtype=torch.bool)
    if fraction > 0:
        for label in range(len(images.classes)):
            indices = (images.labels == label).nonzero().flatten()
            count = min(max(1, round(fraction * len(indices))), max(0, len(indices) - 1))
            held_out[indices[torch.randperm(len(indices), generator=generator)[:count]]] = True
    return (~held_out).nonzero().flatten(), held_out.nonzero().flatten()
