"""Layer normalization over all features of one sample, or over the channels of one position."""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn

import ffprobe


class LayerNorm(ffprobe.Normalizer):
    """Normalizes each sample to zero mean and unit variance over all its features: ``[C, H, W]``, ``[C, T]`` or
    ``[F]`` (torch's LayerNorm).

    ``over=channels`` normalizes each position of a feature map, or time step of a signal, by itself, over its channels,
    with one scale and offset for each channel; for linear layers it makes no difference.

    The papers of this field also call the division by the root mean square "layer normalization"; that one is ``rms``.
    """

    name = "layernorm"
    aliases = ("torch_layernorm", "layer_norm", "ln")
    source = "Ba, Kiros & Hinton 2016, arXiv:1607.06450; the authors' code of arXiv:2311.18130"

    class Params(ffprobe.Params):
        """The learned parameters and the position."""

        affine: bool = Field(True, description="learn a scale and an offset for every feature")
        over: Literal["features", "channels"] = Field(
            "features",
            description="what one mean and variance cover: features (all of a sample) or channels (of one position)",
        )
        position: Literal["input", "preactivation", "activation", "output"] = Field(
            "input",
            description="where a layer applies it: input, preactivation (before the activation function), "
            "activation (before goodness is read) or output (after goodness is read)",
        )

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self.position = self.params.position

    def build(self, shape: ffprobe.Shape) -> nn.Module:
        """Build a module that maps ``[B, *shape]`` to the same shape."""
        if self.params.over == "channels" and len(shape) > 1:
            return _OverChannels(shape[0], elementwise_affine=self.params.affine)
        return nn.LayerNorm(list(shape), elementwise_affine=self.params.affine)


class _OverChannels(nn.LayerNorm):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize ``[B, C, H, W]`` or ``[B, C, T]`` over C at each position."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [LayerNorm]
