"""The mean of squares of a small perceptron on the layer's activation."""

from __future__ import annotations

import torch
from ffprobe_plugins.goodness.positions import position_mean
from pydantic import Field
from torch import nn
from torch.nn import functional

import ffprobe


class PerceptronSquare(ffprobe.Goodness):
    """Averages the squares of z, the output of a learned head on the activation h: z1 = relu(ln(fc1(mean of h over
    positions))), z = relu(ln(fc2(z1))), with layer normalization ln without scale and offset.

    The head learns with its layer and is not part of what the next layer receives. Goodness is bounded by about 1,
    since ln fixes the length of its output: only the share of units above their mean can change.

    Deviation: the activation of a linear layer, which the code does not have, is used as it is; a signal is averaged
    over time.
    """

    name = "perceptron-square"
    source = "strictly local FFA and SymBa of Zhaoxian-Wu/ffa-theory, code of arXiv:2609.33240"

    class Params(ffprobe.Params):
        """The size of the head."""

        width: int = Field(256, ge=2, description="units of both layers of the head, at least 2; 256 in the code")

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, *shape]`` to ``[B]``; it returns float32 under bf16 as well."""
        width = self.params.width

        class Module(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.fc1 = nn.Linear(shape[0], width)
                self.fc2 = nn.Linear(width, width)

            def forward(self, activation: torch.Tensor) -> torch.Tensor:
                z = position_mean(activation)
                for linear in (self.fc1, self.fc2):
                    z = functional.layer_norm(linear(z), (width,)).relu()
                return (z.float() if z.dtype == torch.bfloat16 else z).square().mean(dim=1)

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [PerceptronSquare]
