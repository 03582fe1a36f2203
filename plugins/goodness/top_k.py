"""Goodness as the mean of the largest squared activations."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

import ffprobe


class TopK(ffprobe.Goodness):
    """Mean of the k largest squared activations, k = ``share`` of all features, rounded, at least one.

    The gradient reaches those k features alone, so that an input is represented by few strong features.
    """

    name = "top-k"
    source = "Selectivity and shape in Forward-Forward goodness, arXiv:2604.13081 (abstract); the share is ours"

    class Params(ffprobe.Params):
        """How many features count."""

        share: float = Field(0.1, gt=0, le=1, description="of the layer's features; 1 is mean-square")

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """``[B, *shape]`` to ``[B]``, float32 also under bf16."""
        count = max(1, round(self.params.share * torch.Size(shape).numel()))

        class Module(nn.Module):
            def forward(self, activation: torch.Tensor) -> torch.Tensor:
                wide = activation.float() if activation.dtype == torch.bfloat16 else activation
                return wide.flatten(1).square().topk(count, dim=1, sorted=False).values.mean(dim=1)

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [TopK]
