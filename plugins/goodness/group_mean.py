"""The mean activation of the channels that belong to a class."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

import ffprobe


class GroupMean(ffprobe.Goodness):
    """Averages the activations of a class's own channels: g[b, k] is the mean over the channels of group k and all
    positions, not squared.

    The channels (features of a linear layer; the first axis of a signal ``[C, T]``, whose positions are time steps) are
    split into one contiguous group for each class: with C channels and K classes, group k has the channels k C/K to
    (k+1) C/K - 1, all counted from 0. All classes but the true one serve as negatives, so one forward pass is enough.
    Since the activation is not squared, its gradient does not vanish where the activation is small, and a group
    normalization after goodness removes exactly what goodness has read.

    Deviations: if C is not a multiple of K, the first C mod K groups have one channel more; the paper's widths are
    multiples. With ``together``, neighbouring classes have the same goodness.
    """

    name = "group-mean"
    aliases = ("group_mean",)
    form = "class"
    source = "DeeperForward (ICLR 2025), whose public code takes the mean after ReLU and before normalization"
    power = 1

    class Params(ffprobe.Params):
        """Which classes share channels."""

        together: int = Field(
            1, ge=1, description="number of neighbouring classes that share one group of channels, at least 1"
        )

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, *shape]`` to ``[B, K]``; it returns float32 under bf16 as well.

        Raises:
            UsageError: the layer has fewer channels than groups.
        """
        power, together = self.power, self.params.together
        groups = -(-classes // together)
        if shape[0] < groups:
            raise ffprobe.UsageError(
                f"A layer with {shape[0]} channels cannot be split into {groups} groups, one for each class.",
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
