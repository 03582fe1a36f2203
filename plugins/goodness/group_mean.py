"""Goodness as the mean activation of the channels that belong to a class."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

import ffprobe


class GroupMean(ffprobe.Goodness):
    """g[b, k] = mean, over the channels of group k and all positions, of the activation itself, not squared.

    Channels (features of a linear layer) are cut into one contiguous group for each class: group k of C channels and K
    classes has the channels k C/K to (k+1) C/K - 1. Every class but the true one is a negative, so one pass is enough.
    Not squared, the gradient of a silent unit's neighbour does not vanish as its activation does, and group
    normalization behind it takes away exactly what goodness read.

    Deviations: where C is no multiple of K, the first C mod K groups have one channel more; the paper's widths are
    multiples. Under ``together`` neighbouring classes have the same goodness.
    """

    name = "group-mean"
    aliases = ("group_mean",)
    form = "class"
    source = "DeeperForward (ICLR 2025), whose public code takes the mean after ReLU and before normalization"
    power = 1

    class Params(ffprobe.Params):
        """Which classes share channels."""

        together: int = Field(1, ge=1, description="neighbouring classes that share one group of channels")

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """``[B, *shape]`` to ``[B, K]``, float32 also under bf16.

        Raises:
            UsageError: there are fewer channels than groups.
        """
        power, together = self.power, self.params.together
        groups = -(-classes // together)
        if shape[0] < groups:
            raise ffprobe.UsageError(
                f"A layer of {shape[0]} channels cannot be cut into {groups} groups, one for each class.",
                hint="Use a larger --set network.width.",
            )

        class Module(nn.Module):
            def forward(self, activation: torch.Tensor) -> torch.Tensor:
                wide = activation.float() if activation.dtype == torch.bfloat16 else activation
                if power == 2:
                    wide = wide.square()
                channels = wide.flatten(2).mean(dim=2) if wide.dim() > 2 else wide  # [B, C]
                if channels.shape[1] % groups == 0:
                    goodness = channels.unflatten(1, (groups, -1)).mean(dim=2)
                else:
                    parts = channels.tensor_split(groups, dim=1)
                    goodness = torch.stack([part.mean(dim=1) for part in parts], dim=1)
                return goodness.repeat_interleave(together, dim=1)[:, :classes] if together > 1 else goodness

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [GroupMean]
