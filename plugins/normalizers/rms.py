"""Root-mean-square normalization: layer normalization without subtracting the mean."""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import nn

import ffprobe


class RMS(ffprobe.Normalizer):
    """Divides each sample by its root mean square over all features: x / (root mean square of x + epsilon), without
    parameters.

    The Trifecta's text calls this normalizer layernorm (footnote 2).
    """

    name = "rms"
    aliases = ("root mean square",)
    source = "Trifecta, arXiv:2311.18130, footnote 2; epsilon as in loeweX/Forward-Forward"

    class Params(ffprobe.Params):
        """The numeric guard."""

        epsilon: float = Field(
            1e-8,
            gt=0,
            description="constant added to the root mean square for numerical stability, in units of the "
            "activation, above 0",
        )

    def build(self, shape: ffprobe.Shape) -> nn.Module:
        """Build a module that maps ``[B, *shape]`` to the same shape."""
        epsilon, features = self.params.epsilon, math.prod(shape)

        class Module(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                # through the norm, whose gradient at an input of zeros is zero; that of a square root is infinite
                root = ffprobe.flat_as_stored(x).norm(dim=1) / features**0.5 + epsilon
                return x / root.view(-1, *([1] * (x.dim() - 1)))

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [RMS]
