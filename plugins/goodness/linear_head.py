"""Goodness as the logits of a linear classifier on the layer's activation."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import nn

import ffprobe


class LinearHead(ffprobe.Goodness):
    """One number for each class: a linear map of the flattened activation, learned by the layer's own loss.

    With ``cross-entropy`` and ``greedy`` this is greedy layer-wise learning (Belilovsky et al.), which with
    ``bias=false`` is also what Mono-Forward does (a projection matrix for each layer). With ``whole`` only the last
    layer has a head: backpropagation. A head that no loss teaches is taken away, and its layer's goodness is NaN.

    Maps are flattened, not averaged, so that a head on a large map is large; ``average`` first averages each map down
    to that many positions a side (as the local classifiers of Nokland & Eidnes do in spirit; their pooling differs).
    """

    name = "linear-head"
    form = "class"
    source = "Belilovsky et al. 2019, arXiv:1812.11446; Mono-Forward, arXiv:2501.09238"

    class Params(ffprobe.Params):
        """What the head looks like."""

        bias: bool = Field(True, description="whether the head has a bias; Mono-Forward has none")
        average: int = Field(0, ge=0, description="average maps to this many positions a side; 0: keep them whole")
        start: Literal["torch", "zero"] = Field("torch", description="torch: as its linear layers start; zero: at 0")

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """``[B, *shape]`` to ``[B, K]``, float32 also under bf16."""
        params = self.params
        pooled = params.average if len(shape) == 3 else 0
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
                    activation = nn.functional.adaptive_avg_pool2d(activation, sides)
                logits = self.linear(activation.flatten(1))
                return logits.float() if logits.dtype == torch.bfloat16 else logits

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [LinearHead]
