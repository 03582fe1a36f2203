"""Sums of squares over all dimensions but the batch, without a float32 copy of half-precision activations."""

from __future__ import annotations

from typing import Any

import torch

from ffprobe.network.stored import flat_as_stored

CACHED = 1 << 18
"""Elements converted to float32 at a time: 1 MB, which fits into a core's cache."""


def square_sums(x: torch.Tensor) -> torch.Tensor:
    """The sum of squares of each row, for a goodness: ``[B, *shape]`` to ``[B]``.

    Half precision (float16, bfloat16) is squared and summed in float32, which is also the dtype of the result; a
    float32 copy of the whole tensor, forward and backward, would cost more than the squares. Other dtypes are computed
    as they are. The gradient is ``2 x`` times the gradient of the sum, in the memory layout and dtype of ``x``; it
    can be differentiated again (``create_graph=True``), for Hessians.

    Args:
        x: floating-point tensor in any memory layout.
    """
    return _SquareSums.apply(x)


class _SquareSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        flat = flat_as_stored(x)
        if not _half(x):
            return flat.square().sum(dim=1)
        return torch.cat([rows.float().square().sum(dim=1) for rows in flat.split(_chunk_size(x))])

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        scale = (2 * gradient).view(-1, *(1 for _ in x.shape[1:]))
        if not _half(x):
            return x * scale
        if torch.is_grad_enabled():  # the gradient will be differentiated, which writing in place does not allow
            return (x.float() * scale).to(x.dtype)
        result = torch.empty_like(x)
        size = _chunk_size(x)
        for rows, factor, out in zip(x.split(size), scale.split(size), result.split(size), strict=True):
            out.copy_(rows.float().mul_(factor))
        return result


def _half(x: torch.Tensor) -> bool:
    return x.dtype in (torch.bfloat16, torch.float16)


def _chunk_size(x: torch.Tensor) -> int:
    """Rows at a time; all of them on a GPU, where the number of calls matters."""
    return len(x) if x.is_cuda else max(1, CACHED // max(1, x.shape[1:].numel()))
