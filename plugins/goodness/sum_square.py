"""The sum of squared activations."""

from __future__ import annotations

import torch
from torch import nn

import ffprobe


class SumSquare(ffprobe.Goodness):
    """Sums the squared activations over all features, after pooling and ReLU; it grows with the width of the layer, so
    a threshold that fits one layer does not fit another.
    """

    name = "sum-square"
    aliases = ("sum_square",)
    source = "Hinton 2022, arXiv:2212.13345, Sec. 2; Trifecta, arXiv:2311.18130, App. A"

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, *shape]`` to ``[B]``; it returns float32 under bf16 as well."""

        class Module(nn.Module):
            def forward(self, activation: torch.Tensor) -> torch.Tensor:
                return ffprobe.square_sums(activation)

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [SumSquare]
