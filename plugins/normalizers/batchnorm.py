"""Batch normalization, over positives and negatives together."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from torch import nn

import ffprobe


class BatchNorm(ffprobe.Normalizer):
    """torch's BatchNorm2d (channels) or BatchNorm1d (features), affine, with running statistics in evaluation.

    In training the batch holds B positives and B negatives, so both share their statistics, as in the authors' code;
    in evaluation all rows carry one label, and the running statistics are used.

    Its position is a layer's input (Trifecta) by default; ``preactivation``, between convolution and ReLU, is the order
    of backpropagated networks.
    """

    name = "batchnorm"
    aliases = ("batch_norm", "bn")
    keeps_statistics = True
    affine = True  # in evaluation, by the running statistics
    source = "Ioffe & Szegedy 2015; Trifecta, arXiv:2311.18130, Sec. 4"

    class Params(ffprobe.Params):
        """Where it stands, and the guard against dividing by zero."""

        position: Literal["input", "preactivation", "activation", "output"] = Field(
            "input",
            description="on a layer's input, before its activation function, before or after its goodness is read",
        )
        epsilon: float = Field(1e-5, gt=0, description="added to the variance")

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self.position = self.params.position

    def build(self, shape: ffprobe.Shape) -> nn.Module:
        """``[B, C, H, W]`` or ``[B, F]``, same shape out."""
        kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
        return kind(shape[0], eps=self.params.epsilon)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [BatchNorm]
