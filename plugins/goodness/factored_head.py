"""The logits of a linear classifier that is the product of two matrices."""

from __future__ import annotations

import torch
from ffprobe_plugins.goodness.positions import average_to
from pydantic import Field
from torch import nn

import ffprobe


class FactoredHead(ffprobe.Goodness):
    """Scores each class with classifier(projection(h)), two linear maps without a nonlinearity between them; a feature
    map is first averaged to 4x4 positions, a signal to 4 time steps, and flattened.

    Together the maps are one linear classifier of rank ``features`` at most; two of them learn differently, since each
    scales the other's gradient.
    """

    name = "factored-head"
    form = "class"
    source = "grouped local cross entropy (ladder of group sizes) of Zhaoxian-Wu/ffa-theory, code of arXiv:2609.33240"

    class Params(ffprobe.Params):
        """The sizes of the head."""

        features: int = Field(256, ge=1, description="values between the two maps, at least 1; 256 in the code")
        average: int = Field(
            4,
            ge=1,
            description="average each feature map to this many positions per side, at least 1; smaller maps stay",
        )

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, *shape]`` to ``[B, K]``; it returns float32 under bf16 as well."""
        sides = [min(self.params.average, side) for side in shape[1:]]
        features = self.params.features

        class Module(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.projection = nn.Linear(torch.Size([shape[0], *sides]).numel(), features)
                self.classifier = nn.Linear(features, classes)

            def forward(self, activation: torch.Tensor) -> torch.Tensor:
                if sides:
                    activation = average_to(activation, sides)
                logits = self.classifier(self.projection(activation.flatten(1)))
                return logits.float() if logits.dtype == torch.bfloat16 else logits

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [FactoredHead]
