"""Max pooling that stores no indices when no gradient is needed."""

from __future__ import annotations

import torch
from torch.nn import functional


def max_pool(x: torch.Tensor, side: int) -> torch.Tensor:
    """Max pooling ``[B, C, H, W]`` to ``[B, C, H // side, W // side]``, with the results of torch's ``max_pool2d``.

    On a CPU torch stores the index of each maximum, 64-bit integers that only a gradient needs: without a gradient and
    with channels-last memory, the maximum of columns and then of rows is faster and needs less memory.
    """
    last = x.is_contiguous(memory_format=torch.channels_last)
    if x.device.type != "cpu" or side != 2 or not last or x.requires_grad or torch.compiler.is_compiling():
        return functional.max_pool2d(x, side)
    height, width = (2 * (length // 2) for length in x.shape[2:])
    wide = torch.maximum(x[..., 0:width:2], x[..., 1:width:2])
    return torch.maximum(wide[:, :, 0:height:2], wide[:, :, 1:height:2])
