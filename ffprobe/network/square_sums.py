"""Sums of squares over everything but the batch, without a wide copy of half-precision activations."""

from __future__ import annotations

from typing import Any

import torch

from ffprobe.network.stored import flat_as_stored

CACHED = 1 << 18
"""Numbers that are widened at a time: 1 MB in float32, what a core keeps close."""


def square_sums(x: torch.Tensor) -> torch.Tensor:
    """The sum of squares of each row, for a goodness: ``[B, *shape]`` to ``[B]``.

    Half precision (float16, bfloat16) is squared and added in float32, which the result has, too; a float32 copy of
    the whole, forward and backward, would cost more than the squares. Other types are computed in their own. The
    gradient is ``2 x`` times that of the sum, in the memory layout and type of ``x``; it cannot be derived again.

    Args:
        x: floating point, in whatever memory layout.
    """
    return _SquareSums.apply(x)


class _SquareSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        flat = flat_as_stored(x)
        if not _half(x):
            return flat.square().sum(dim=1)
        return torch.cat([part.float().square().sum(dim=1) for part in flat.split(_together(x))])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        scale = (2 * gradient).view(-1, *(1 for _ in x.shape[1:]))
        if not _half(x):
            return x * scale
        made = torch.empty_like(x)
        size = _together(x)
        for part, factor, out in zip(x.split(size), scale.split(size), made.split(size), strict=True):
            out.copy_(part.float().mul_(factor))
        return made


def _half(x: torch.Tensor) -> bool:
    return x.dtype in (torch.bfloat16, torch.float16)


def _together(x: torch.Tensor) -> int:
    """Rows at a time: on a GPU all of them, where what counts is the number of calls."""
    return len(x) if x.is_cuda else max(1, CACHED // max(1, x.shape[1:].numel()))
