"""Batch normalization by rolling averages, in training as in evaluation: fit for single samples."""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn

import ffprobe


class RollingBatchNorm(ffprobe.Normalizer):
    """w (x - mean) / sqrt(variance + epsilon) + b for each channel, with rolling averages that hold no gradient.

    A batch is normalized by the averages that those before it left, then moves them, in training only:
    mean += momentum (mean of batch - mean), and variance += momentum (mean of (x - mean)^2 - variance) with the new
    mean. The deviation is taken from the rolling mean, so that one sample has one too. No sample of a batch sees
    another.

    The paper says no more than that rolling averages are used for the full training process; order and momentum are
    ours.
    """

    name = "rolling-batchnorm"
    keeps_statistics = True
    affine = True  # in evaluation, by the running statistics
    source = "Trifecta, arXiv:2311.18130, App. E (single sample training)"

    class Params(ffprobe.Params):
        """Where it stands, and how fast the averages roll."""

        position: Literal["input", "preactivation", "activation", "output"] = Field(
            "input",
            description="on a layer's input, before its activation function, before or after its goodness is read",
        )
        momentum: float = Field(0.1, gt=0, le=1, description="share of each batch in the averages")
        epsilon: float = Field(1e-5, gt=0, description="added to the variance")

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self.position = self.params.position

    def build(self, shape: ffprobe.Shape) -> nn.Module:
        """``[B, C, H, W]`` or ``[B, F]``, same shape out."""
        momentum, epsilon = self.params.momentum, self.params.epsilon
        others = (0, 2, 3) if len(shape) == 3 else (0,)
        view = (1, -1, 1, 1) if len(shape) == 3 else (1, -1)

        class Module(nn.Module):
            running_mean: torch.Tensor
            running_var: torch.Tensor

            def __init__(self) -> None:
                super().__init__()
                self.weight, self.bias = nn.Parameter(torch.ones(shape[0])), nn.Parameter(torch.zeros(shape[0]))
                self.register_buffer("running_mean", torch.zeros(shape[0]))
                self.register_buffer("running_var", torch.ones(shape[0]))

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                wide = x.to(self.running_mean.dtype)
                scale = self.weight * (self.running_var + epsilon).rsqrt()
                found = (wide - self.running_mean.view(view)) * scale.view(view) + self.bias.view(view)
                if self.training:
                    with torch.no_grad():
                        self.running_mean.lerp_(wide.mean(others), momentum)
                        distance = wide - self.running_mean.view(view)
                        self.running_var.lerp_(distance.square().mean(others), momentum)
                return found.to(x.dtype)

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [RollingBatchNorm]
