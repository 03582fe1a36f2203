"""The logits of a linear classifier on the layer's activation."""

from __future__ import annotations

from typing import Literal

import torch
from ffprobe_plugins.goodness.positions import average_to
from pydantic import Field
from torch import nn

import ffprobe


class LinearHead(ffprobe.Goodness):
    """Scores each class with a linear map of the flattened activation, trained by the layer's own loss.

    With ``cross-entropy`` and ``greedy``, this is greedy layer-wise learning (Belilovsky et al.); with ``bias=false``,
    it is also Mono-Forward (a projection matrix for each layer). With ``whole``, only the last layer has a head, which
    is backpropagation. A goodness head that no loss trains is removed, and the goodness of its layer is NaN.

    Feature maps are flattened, not averaged, so a head on a large map has many weights. ``average`` first averages each
    map to that many positions per side (similar to the local classifiers of Nokland & Eidnes, whose pooling differs),
    each signal to that many time steps.
    """

    name = "linear-head"
    form = "class"
    source = "Belilovsky et al. 2019, arXiv:1812.11446; Mono-Forward, arXiv:2501.09238"

    class Params(ffprobe.Params):
        """The form of the head."""

        bias: bool = Field(True, description="give the head a bias; Mono-Forward has none")
        average: int = Field(
            0,
            ge=0,
            description="average each feature map to this many positions per side (a signal to this many time steps) "
            "before the head; 0 keeps the full map",
        )
        start: Literal["torch", "zero"] = Field(
            "torch", description="initial weights of the head: torch (the default of torch.nn.Linear) or zero"
        )

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, *shape]`` to ``[B, K]``; it returns float32 under bf16 as well."""
        params = self.params
        pooled = params.average if len(shape) > 1 else 0
        sides = [min(pooled, side) for side in shape[1:]] if pooled else list(shape[1:])

        class Module(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.linear = nn.Linear(torch.Size([shape[0], *sides]).numel(), classes, bias=params.bias)
                if params.start == "zero":
                    for parameter in self.linear.parameters():
                        nn.init.zeros_(parameter)

            def forward(self, activation: torch.Tensor) -> torch.Tensor:
                if pooled:
                    activation = average_to(activation, sides)
                logits = self.linear(activation.flatten(1))
                return logits.float() if logits.dtype == torch.bfloat16 else logits

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [LinearHead]
