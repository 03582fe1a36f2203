"""Layer normalization over all features of one sample."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from torch import nn

import ffprobe


class LayerNorm(ffprobe.Normalizer):
    """torch's LayerNorm over ``[C, H, W]`` or ``[F]``: subtracts the mean, divides by the standard deviation.

    The papers of the field also call division by the root mean square "layer normalization"; that one is ``rms``.
    """

    name = "layernorm"
    aliases = ("torch_layernorm", "layer_norm", "ln")
    source = "Ba, Kiros & Hinton 2016, arXiv:1607.06450; the authors' code of arXiv:2311.18130"

    class Params(ffprobe.Params):
        """Whether it learns, and where it stands."""

        affine: bool = Field(True, description="learn a scale and an offset for every feature")
        position: Literal["input", "preactivation", "activation", "output"] = Field(
            "input",
            description="on a layer's input, before its activation function, before or after its goodness is read",
        )

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self.position = self.params.position

    def build(self, shape: ffprobe.Shape) -> nn.Module:
        """``[B, *shape]``, same shape out."""
        return nn.LayerNorm(list(shape), elementwise_affine=self.params.affine)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [LayerNorm]
