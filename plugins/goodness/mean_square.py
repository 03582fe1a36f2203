"""The mean of squared activations."""

from __future__ import annotations

import torch
from torch import nn

import ffprobe


class MeanSquare(ffprobe.Goodness):
    """Averages the squared activations over all features, after pooling and ReLU; it does not depend on the width of
    the layer.
    """

    name = "mean-square"
    aliases = ("mean_square",)
    source = "Hinton 2022, arXiv:2212.13345, Sec. 2; Trifecta, arXiv:2311.18130, App. A"

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, *shape]`` to ``[B]``; it returns float32 under bf16 as well."""

        class Module(nn.Module):
            def forward(self, activation: torch.Tensor) -> torch.Tensor:
                return ffprobe.square_sums(activation) / activation.shape[1:].numel()

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [MeanSquare]
