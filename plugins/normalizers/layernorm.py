"""Layer normalization over all features of one sample."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from torch import nn

import ffprobe


class LayerNorm(ffprobe.Normalizer):
    """Normalizes each sample to zero mean and unit variance over all its features ``[C, H, W]`` or ``[F]`` (torch's
    LayerNorm).

    The papers of this field also call the division by the root mean square "layer normalization"; that one is ``rms``.
    """

    name = "layernorm"
    aliases = ("torch_layernorm", "layer_norm", "ln")
    source = "Ba, Kiros & Hinton 2016, arXiv:1607.06450; the authors' code of arXiv:2311.18130"

    class Params(ffprobe.Params):
        """The learned parameters and the position."""

        affine: bool = Field(True, description="learn a scale and an offset for every feature")
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
        return nn.LayerNorm(list(shape), elementwise_affine=self.params.affine)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [LayerNorm]
