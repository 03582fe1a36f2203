"""SoftHebb's network: reflecting convolutions with the triangle activation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch.nn import functional

import ffprobe


@dataclass(frozen=True)
class Triangle:
    """The triangle activation, relu(u - mean of u over channels)^power, followed by pooling.

    Only channels above the mean respond, so about half of them, whatever their common level.

    Attributes:
        power: exponent, above 0.
        pool: ``none``, ``max`` or ``avg``.
        kernel: side of the pooling window, in pixels.
        stride: stride of the pooling window, in pixels.
        padding: padding before pooling, in pixels; zeros count in an average.
    """

    power: float = 1.0
    pool: Literal["none", "max", "avg"] = "none"
    kernel: int = 2
    stride: int = 2
    padding: int = 0

    def __call__(self, u: torch.Tensor) -> torch.Tensor:
        """Map ``[B, C, H, W]`` to ``[B, C, H', W']``."""
        x = (u - u.mean(dim=1, keepdim=True)).relu() ** self.power
        if self.pool == "none":
            return x
        pool = functional.max_pool2d if self.pool == "max" else functional.avg_pool2d
        return pool(x, self.kernel, self.stride, self.padding)


class SoftHebbNetwork(ffprobe.Network):
    """Three convolutions that reflect at the border: 96 channels with kernel 5, 384 and 1,536 with kernel 3; triangle
    activations of power 0.7, 1.4 and 1; pooling max 4 / 2, max 4 / 2 and average 2.

    Use it with ``batchnorm:affine=false`` and the rule ``soft-hebb``. Pooling that would leave nothing of a small image
    is left out: an 8x8 image goes through all three.

    Deviation: convolutions start like torch's layers unless the rule draws them again (``soft-hebb`` does).
    """

    name = "softhebb"
    learning_rate_steps = ()
    source = "Journe et al. 2023, arXiv:2209.11883; demo.py of NeuromorphicComputing/SoftHebb"

    class Params(ffprobe.Params):
        """The width."""

        width: float = Field(
            1.0, gt=0, le=16, description="factor on the number of channels of every layer, in (0, 16]"
        )

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """Three layers.

        Raises:
            UsageError: the input is no image, or too small to be reflected.
        """
        if len(shape) != 3 or min(shape[1:]) < 3:
            raise ffprobe.UsageError(
                f"The network {self.name!r} needs images of at least 3x3 pixels; its input is {list(shape)}.",
                hint="Use --plugin fcn.",
            )
        plan = [
            (96, 5, Triangle(0.7, "max", 4, 2, 1)),
            (384, 3, Triangle(1.4, "max", 4, 2, 1)),
            (1536, 3, Triangle(1.0, "avg", 2, 2, 0)),
        ]
        side, specs = min(shape[1:]), []
        for index, (channels, kernel, activation) in enumerate(plan):
            pooled = (side + 2 * activation.padding - activation.kernel) // activation.stride + 1
            kernel = kernel if side > kernel // 2 else 1
            # the next layer reflects its border, for which it needs two pixels
            if pooled < (1 if index == len(plan) - 1 else 2):
                activation = Triangle(activation.power)
            else:
                side = pooled
            specs.append(
                ffprobe.LayerSpec(
                    "conv",
                    max(4, round(channels * self.params.width)),
                    activation=activation,
                    kernel=kernel,
                    padding_mode="reflect",
                )
            )
        return specs


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [SoftHebbNetwork]
