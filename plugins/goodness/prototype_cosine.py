"""Cosine similarity of an embedding of the activation with a learned prototype of each class."""

from __future__ import annotations

import torch
from ffprobe_plugins.goodness.positions import position_mean
from pydantic import Field
from torch import nn
from torch.nn import functional

import ffprobe


class PrototypeCosine(ffprobe.Goodness):
    """Scores each class k with tau cos(e, p_k): e is a linear map of the activation's mean over positions, p_k a
    learned prototype, and both are divided by their length (at least 1e-8).

    Prototypes start at 0.1 times a standard normal and learn with the layer. With ``cross-entropy`` and ``greedy``,
    this is local learning by distances to prototypes. Lengths do not matter: no layer lowers its loss by growing.

    Deviation: the activation of a linear layer, which the code does not have, is used as it is; a signal is averaged
    over time.
    """

    name = "prototype-cosine"
    form = "class"
    source = "prototype-cosine of Zhaoxian-Wu/ffa-theory, code of arXiv:2609.33240; recipe: 64 dimensions, tau 10"

    class Params(ffprobe.Params):
        """The embedding and the scale of the cosines."""

        dimensions: int = Field(64, ge=1, description="dimensions of the embedding and of the prototypes, at least 1")
        tau: float = Field(10.0, gt=0, description="factor on the cosines, above 0; the logits lie within -tau and tau")

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, *shape]`` to ``[B, K]``; it returns float32 under bf16 as well."""
        dimensions, tau = self.params.dimensions, self.params.tau

        class Module(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.projection = nn.Linear(shape[0], dimensions)
                self.prototypes = nn.Parameter(0.1 * torch.randn(classes, dimensions))

            def forward(self, activation: torch.Tensor) -> torch.Tensor:
                pooled = position_mean(activation)
                unit = functional.normalize(self.projection(pooled), dim=1, eps=1e-8)
                cosines = functional.linear(unit, functional.normalize(self.prototypes, dim=1, eps=1e-8))
                return tau * (cosines.float() if cosines.dtype == torch.bfloat16 else cosines)

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [PrototypeCosine]
