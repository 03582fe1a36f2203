"""Group normalization without parameters, with one group of channels for each class."""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

import ffprobe


class GroupNorm(ffprobe.Normalizer):
    """Normalizes each group of channels of a sample to zero mean and unit variance, with one group for each class: (x -
    mean) / sqrt(variance + epsilon) over the channels of the group and all positions (time
    steps of a signal ``[C, T]``).

    It normalizes the output of a layer, after goodness was read: with ``group-mean``, it removes exactly that goodness,
    so that no later layer can use it. It has no scale and offset; the variance is biased.

    Deviation: if the channels are not a multiple of the groups, the first groups have one channel more, as in
    ``group-mean``. A group of a single value (a linear layer with as many features as classes) becomes zero.
    """

    name = "group-norm"
    aliases = ("groupnorm",)
    source = "Wu & He 2018, arXiv:1803.08494; DeeperForward (ICLR 2025)"

    class Params(ffprobe.Params):
        """The number of groups, the position and the numeric guard."""

        groups: int = Field(0, ge=0, description="number of channel groups; 0 uses one group for each class")
        position: Literal["input", "preactivation", "activation", "output"] = Field(
            "output",
            description="where a layer applies it: input, preactivation (before the activation function), "
            "activation (before goodness is read) or output (after goodness is read)",
        )
        epsilon: float = Field(
            1e-5, gt=0, description="constant added to the variance for numerical stability, above 0"
        )

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self.position = self.params.position
        self.groups = self.params.groups or 1

    def prepare(self, classes: int) -> None:
        """Use one group for each class unless ``groups`` is set."""
        self.groups = self.params.groups or classes

    def build(self, shape: ffprobe.Shape) -> nn.Module:
        """Build a module that maps ``[B, *shape]`` to the same shape.

        Raises:
            UsageError: the layer has fewer channels than groups.
        """
        groups, epsilon = self.groups, self.params.epsilon
        if shape[0] < groups:
            raise ffprobe.UsageError(
                f"A layer with {shape[0]} channels cannot be split into {groups} groups.",
                hint="Use a larger --set network.width, or --set normalizer.groups=1.",
            )

        class Module(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                if shape[0] % groups == 0:
                    return functional.group_norm(x, groups, eps=epsilon)
                parts = x.tensor_split(groups, dim=1)
                return torch.cat([functional.group_norm(part, 1, eps=epsilon) for part in parts], dim=1)

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [GroupNorm]
