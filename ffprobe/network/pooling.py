"""Pooling of signals and feature maps; max pooling stores no indices when no gradient is needed."""

from __future__ import annotations

import torch
from torch.nn import functional

from ffprobe.components.base import Shape
from ffprobe.errors import UsageError


def max_pool(x: torch.Tensor, side: int) -> torch.Tensor:
    """Max pooling ``[B, C, H, W]`` to ``[B, C, H // side, W // side]``, with the results of torch's ``max_pool2d``.

    A signal ``[B, C, T]`` is pooled over time, to ``[B, C, T // side]``.

    On a CPU torch stores the index of each maximum, 64-bit integers that only a gradient needs: without a gradient and
    with channels-last memory, the maximum of columns and then of rows is faster and needs less memory.

    Raises:
        UsageError: ``x`` has no positions, or fewer along one axis than ``side``.
    """
    if x.dim() != 4:
        check_window(tuple(x.shape[1:]), side)
        return functional.max_pool1d(x, side)
    last = x.is_contiguous(memory_format=torch.channels_last)
    if x.device.type != "cpu" or side != 2 or not last or x.requires_grad or torch.compiler.is_compiling():
        return functional.max_pool2d(x, side)
    height, width = (2 * (length // 2) for length in x.shape[2:])
    wide = torch.maximum(x[..., 0:width:2], x[..., 1:width:2])
    return torch.maximum(wide[:, :, 0:height:2], wide[:, :, 1:height:2])


def avg_pool(x: torch.Tensor, side: int) -> torch.Tensor:
    """Average pooling of a feature map ``[B, C, H, W]``, or of a signal ``[B, C, T]`` over time.

    Raises:
        UsageError: ``x`` has no positions, or fewer along one axis than ``side``.
    """
    if x.dim() == 4:
        return functional.avg_pool2d(x, side)
    check_window(tuple(x.shape[1:]), side)
    return functional.avg_pool1d(x, side)


def check_window(shape: Shape, side: int) -> None:
    """Refuse a pooling window that does not fit a shape without the batch dimension.

    Raises:
        UsageError: the shape is neither ``(C, T)`` nor ``(C, H, W)``, or it has an axis shorter than ``side``.
    """
    if len(shape) not in (2, 3):
        raise UsageError(
            f"Pooling needs a signal [C, T] or a feature map [C, H, W], not a shape of {list(shape)}.",
            hint="Use a layer without pooling.",
        )
    if min(shape[1:]) < side:
        raise UsageError(f"A pooling window of {side} does not fit an activation of shape {list(shape)}.")
