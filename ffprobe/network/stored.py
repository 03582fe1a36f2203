"""Flatten rows in their memory order."""

from __future__ import annotations

import torch


def flat_as_stored(x: torch.Tensor) -> torch.Tensor:
    """Flatten ``[B, C, H, W]`` to ``[B, C * H * W]`` without a copy, channel by channel or pixel by pixel.

    For sums and means over a row, which depend on the order only by rounding. ``flatten(1)`` and its gradient copy
    feature maps in channels-last memory format, which the trainer uses.

    Args:
        x: ``[B, ...]`` of any shape and dtype; tensors that are not channels-last are flattened by ``flatten(1)``.
    """
    channels_last = x.dim() == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    return (x.permute(0, 2, 3, 1) if channels_last else x).flatten(1)
