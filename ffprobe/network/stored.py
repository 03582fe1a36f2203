"""A row's numbers in the order in which they lie in memory."""

from __future__ import annotations

import torch


def flat_as_stored(x: torch.Tensor) -> torch.Tensor:
    """``[B, C, H, W]`` to ``[B, C * H * W]`` without a copy: channel after channel, or pixel after pixel.

    For sums and means over a row, which depend on the order by rounding alone. ``flatten(1)`` copies maps whose
    channels come last in memory, as the trainer keeps them, and so does its gradient.

    Args:
        x: ``[B, ...]`` of any shape and dtype; all but maps with channels last are flattened as always.
    """
    channels_last = x.dim() == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    return (x.permute(0, 2, 3, 1) if channels_last else x).flatten(1)
