"""Batch normalization over positives and negatives together."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from torch import nn

import ffprobe


class BatchNorm(ffprobe.Normalizer):
    """Normalizes each channel to zero mean and unit variance over the batch (torch's BatchNorm2d or BatchNorm1d), with
    learned scale and offset unless ``affine`` is false.

    In training, the batch contains B positives and B negatives, so both share their statistics, as in the authors'
    code. In evaluation, all rows carry one label, and the running statistics are used.

    A channel is the first axis of an activation: of a signal ``[C, T]`` it covers all time steps, of a table ``[F]`` it
    is one feature.

    The default position is the input of a layer (Trifecta). ``preactivation``, between convolution and ReLU, is the
    usual order of backpropagated networks.
    """

    name = "batchnorm"
    aliases = ("batch_norm", "bn")
    keeps_statistics = True
    affine = True  # in evaluation, through the running statistics
    source = "Ioffe & Szegedy 2015; Trifecta, arXiv:2311.18130, Sec. 4"

    class Params(ffprobe.Params):
        """The position and the numeric guard."""

        position: Literal["input", "preactivation", "activation", "output"] = Field(
            "input",
            description="where a layer applies it: input, preactivation (before the activation function), "
            "activation (before goodness is read) or output (after goodness is read)",
        )
        epsilon: float = Field(
            1e-5, gt=0, description="constant added to the variance for numerical stability, above 0"
        )
        affine: bool = Field(True, description="learn a scale and an offset for every channel")

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self.position = self.params.position

    def build(self, shape: ffprobe.Shape) -> nn.Module:
        """Build a module that maps ``[B, C, H, W]``, ``[B, C, T]`` or ``[B, F]`` to the same shape."""
        kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
        return kind(shape[0], eps=self.params.epsilon, affine=self.params.affine)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [BatchNorm]
