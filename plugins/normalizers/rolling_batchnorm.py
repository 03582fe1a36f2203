"""Batch normalization with running averages in training and in evaluation; it works for single samples."""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn

import ffprobe


class RollingBatchNorm(ffprobe.Normalizer):
    """Normalizes each channel with running averages, in training as in evaluation: w (x - mean) / sqrt(variance +
    epsilon) + b.

    A channel is the first axis of an activation: of a signal ``[C, T]`` it covers all time steps, of a table ``[F]`` it
    is one feature.

    The averages carry no gradient. A batch is normalized with the averages of the batches before it. In training, it
    then updates them: mean += momentum (mean of batch - mean), and variance += momentum (mean of (x - mean)^2 -
    variance) with the new mean. The deviation is measured from the running mean, so that a single sample has one too.
    Within a batch, no sample affects another.

    The paper says only that rolling averages are used for the full training process; order and momentum are our choice.
    """

    name = "rolling-batchnorm"
    keeps_statistics = True
    affine = True  # in evaluation, through the running statistics
    source = "Trifecta, arXiv:2311.18130, App. E (single sample training)"

    class Params(ffprobe.Params):
        """The position, and the speed of the averages."""

        position: Literal["input", "preactivation", "activation", "output"] = Field(
            "input",
            description="where a layer applies it: input, preactivation (before the activation function), "
            "activation (before goodness is read) or output (after goodness is read)",
        )
        momentum: float = Field(0.1, gt=0, le=1, description="weight of each batch in the running averages, in (0, 1]")
        epsilon: float = Field(
            1e-5, gt=0, description="constant added to the variance for numerical stability, above 0"
        )

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self.position = self.params.position

    def build(self, shape: ffprobe.Shape) -> nn.Module:
        """Build a module that maps ``[B, C, H, W]``, ``[B, C, T]`` or ``[B, F]`` to the same shape."""
        momentum, epsilon = self.params.momentum, self.params.epsilon
        others = (0, *range(2, len(shape) + 1))
        view = (1, -1, *([1] * (len(shape) - 1)))

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
                normalized = (wide - self.running_mean.view(view)) * scale.view(view) + self.bias.view(view)
                if self.training:
                    with torch.no_grad():
                        self.running_mean.lerp_(wide.mean(others), momentum)
                        distance = wide - self.running_mean.view(view)
                        self.running_var.lerp_(distance.square().mean(others), momentum)
                return normalized.to(x.dtype)

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [RollingBatchNorm]
