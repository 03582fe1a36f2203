"""Positions of an activation: time steps of a signal, rows and columns of a feature map, none for a table."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

import ffprobe


def position_mean(activation: torch.Tensor) -> torch.Tensor:
    """The mean over positions: ``[B, C, H, W]`` or ``[B, C, T]`` to ``[B, C]``; ``[B, F]`` is returned as it is."""
    return activation.mean(dim=tuple(range(2, activation.dim()))) if activation.dim() > 2 else activation


def average_to(activation: torch.Tensor, sides: Sequence[int]) -> torch.Tensor:
    """Average ``[B, C, H, W]`` to ``[B, C, *sides]`` with two sides, ``[B, C, T]`` with one."""
    if len(sides) == 1:
        return functional.adaptive_avg_pool1d(activation, sides[0])
    return functional.adaptive_avg_pool2d(activation, (sides[0], sides[1]))


def same_size_map(shape: ffprobe.Shape, kernel: int, bias: bool = True) -> nn.Module:
    """A learned map of an activation to the same number of channels.

    Args:
        shape: of one activation: a convolution over rows and columns for ``(C, H, W)``, over time for ``(C, T)``, and a
            linear map for ``(F,)``.
        kernel: side of the convolution kernel; padded by half of it.
        bias: whether the map has a bias.
    """
    width = shape[0]
    if len(shape) == 3:
        return nn.Conv2d(width, width, kernel, padding=kernel // 2, bias=bias)
    if len(shape) == 2:
        return nn.Conv1d(width, width, kernel, padding=kernel // 2, bias=bias)
    return nn.Linear(width, width, bias=bias)
