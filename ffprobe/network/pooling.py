"""Max pooling that keeps no places of maxima where no gradient is wanted, and asks for no fresh memory where one is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional

_free: list[torch.Tensor] = []
"""Blocks for the places of maxima that no graph needs now."""


def max_pool(x: torch.Tensor, side: int) -> torch.Tensor:
    """Max pooling ``[B, C, H, W]`` to ``[B, C, H // side, W // side]``, with the numbers of torch's ``max_pool2d``.

    On a CPU torch writes down the place of each maximum, 64-bit integers that only a gradient needs: where none is
    wanted and channels lie last, the maximum of columns and then of rows is faster, and asks for less memory.
    """
    last = x.is_contiguous(memory_format=torch.channels_last)
    if x.device.type != "cpu" or side != 2 or not last or x.requires_grad or torch.compiler.is_compiling():
        return functional.max_pool2d(x, side)
    height, width = (2 * (length // 2) for length in x.shape[2:])
    wide = torch.maximum(x[..., 0:width:2], x[..., 1:width:2])
    return torch.maximum(wide[:, :, 0:height:2], wide[:, :, 1:height:2])


def pool_owned(x: torch.Tensor, side: int) -> torch.Tensor:
    """Max pooling of a map that nothing else reads, now or later: ``[B, C, H, W]`` to ``[B, C, H // side, W // side]``.

    Numbers and gradients are those of ``torch.nn.functional.max_pool2d``. A gradient needs the places of the maxima,
    not the map, so it is written over the map; and the places, 64-bit integers as large as a bfloat16 map, lie in
    memory that is handed from one graph to the next. Fresh memory would have to be cleared by the system first:
    measured, a tenth of a training step of ``tff-s``.

    A graph may be walked back more than once, but not be differentiated twice. On a GPU, where torch keeps freed
    memory itself, and under torch.compile, this is the ordinary function.

    Args:
        x: its memory may be overwritten by the backward pass.
        side: of the window, and the stride.
    """
    if x.device.type != "cpu" or not (torch.is_grad_enabled() and x.requires_grad) or torch.compiler.is_compiling():
        return max_pool(x, side)
    return _PoolOwned.apply(x, side)


@contextmanager
def pool_memory() -> Iterator[None]:
    """Let go at the end of what pooling keeps between steps."""
    try:
        yield
    finally:
        _free.clear()


class _Places:
    """Where the maxima of a pooled map are, in memory that goes back when the graph that holds this is freed."""

    def __init__(self, pooled: torch.Tensor) -> None:
        block = _free.pop() if _free else torch.empty(0, dtype=torch.int64)
        if block.numel() < pooled.numel():
            block = torch.empty(pooled.numel(), dtype=torch.int64)
        self.block, self.tensor = block, torch.as_strided(block, pooled.shape, pooled.stride())

    def __del__(self) -> None:
        _free.append(self.block)


class _PoolOwned(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, side: int) -> torch.Tensor:
        last = x.is_contiguous(memory_format=torch.channels_last)
        batch, channels, height, width = x.shape
        pooled = torch.empty(
            (batch, channels, height // side, width // side),
            dtype=x.dtype,
            memory_format=torch.channels_last if last else torch.contiguous_format,
        )
        ctx.places = _Places(pooled)
        torch.ops.aten.max_pool2d_with_indices.out(x, [side, side], out=pooled, indices=ctx.places.tensor)
        ctx.side, ctx.map = side, x.detach()  # not saved for backward: torch refuses what is overwritten
        return pooled

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        window = [ctx.side, ctx.side]
        torch.ops.aten.max_pool2d_with_indices_backward.grad_input(
            gradient, ctx.map, window, window, [0, 0], [1, 1], False, ctx.places.tensor, grad_input=ctx.map
        )
        return ctx.map, None
