"""The logits of an auxiliary network of residual blocks."""

from __future__ import annotations

from typing import Annotated

from ffprobe_plugins.goodness.head_sequence import HeadSequence, needs_maps
from ffprobe_plugins.networks.residual_blocks import BasicBlock
from pydantic import Field
from torch import nn

import ffprobe


class AuxiliaryBlocks(ffprobe.Goodness):
    """Scores each class with AugLocal's auxiliary network: basic blocks, the mean over positions, a linear map.

    The blocks imitate the layers above, so that a layer learns what they need; the network ``resnet`` with
    ``auxiliary_depth`` gives every layer the blocks of AugLocal's rule. By itself, the goodness has the same blocks at
    every layer. ``normalized`` adds batch normalization in front of the linear map, as the code does at depth 1.
    """

    name = "auxiliary-blocks"
    form = "class"
    source = "AugLocal, Ma et al. 2024, arXiv:2402.17318; ChenxiangMA/AugLocal"

    class Params(ffprobe.Params):
        """The blocks."""

        blocks: tuple[tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]], ...] = Field(
            ((32, 2),), description="(channels, stride) of each block; none leaves the mean and the linear map"
        )
        normalized: bool = Field(False, description="batch normalization in front of the linear map")

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, C, H, W]`` to ``[B, K]``; it returns float32 under bf16 as well."""
        needs_maps(self.name, shape)
        parts: list[nn.Module] = []
        width = shape[0]
        for channels, stride in self.params.blocks:
            parts.append(BasicBlock(width, channels, stride))
            width = channels
        parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        if self.params.normalized:
            parts.append(nn.BatchNorm1d(width))
        return HeadSequence(*parts, nn.Linear(width, classes))


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [AuxiliaryBlocks]
