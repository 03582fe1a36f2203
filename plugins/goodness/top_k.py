"""The mean of the largest squared activations."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

import ffprobe


class TopK(ffprobe.Goodness):
    """Averages the k largest squared activations, with k = ``share`` of all features, rounded, at least one.

    The gradient reaches only those k features, so a few strong features represent each input.
    """

    name = "top-k"
    source = "Selectivity and shape in Forward-Forward goodness, arXiv:2604.13081 (abstract); the share is ours"

    class Params(ffprobe.Params):
        """How many features count."""

        share: float = Field(
            0.1, gt=0, le=1, description="fraction of the layer's features that count, in (0, 1]; 1 is mean-square"
        )

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, *shape]`` to ``[B]``; it returns float32 under bf16 as well."""
        count = max(1, round(self.params.share * torch.Size(shape).numel()))

        class Module(nn.Module):
            def forward(self, activation: torch.Tensor) -> torch.Tensor:
                wide = activation.float() if activation.dtype == torch.bfloat16 else activation
                return wide.flatten(1).square().topk(count, dim=1, sorted=False).values.mean(dim=1)

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [TopK]
