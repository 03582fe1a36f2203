"""Group normalization without parameters, one group of channels for each class."""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

import ffprobe


class GroupNorm(ffprobe.Normalizer):
    """(x - mean) / sqrt(variance + epsilon) over the channels of one class's group and all positions of one sample.

    It stands on what a layer passes on, after goodness was read: with ``group-mean`` it takes away exactly that
    goodness, so that no later layer can live on it. No scale and offset, biased variance.

    Deviation: where channels are no multiple of the groups, the first groups have one channel more, as in
    ``group-mean``. A group of a single number (a linear layer with as many features as classes) becomes zero.
    """

    name = "group-norm"
    aliases = ("groupnorm",)
    source = "Wu & He 2018, arXiv:1803.08494; DeeperForward (ICLR 2025)"

    class Params(ffprobe.Params):
        """How many groups, and where it stands."""

        groups: int = Field(0, ge=0, description="groups of channels; 0: one for each class")
        position: Literal["input", "preactivation", "activation", "output"] = Field(
            "output",
            description="on a layer's input, before its activation function, before or after its goodness is read",
        )
        epsilon: float = Field(1e-5, gt=0, description="added to the variance")

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self.position = self.params.position
        self.groups = self.params.groups or 1

    def prepare(self, classes: int) -> None:
        """One group for each class, unless the settings say otherwise."""
        self.groups = self.params.groups or classes

    def build(self, shape: ffprobe.Shape) -> nn.Module:
        """``[B, *shape]``, same shape out.

        Raises:
            UsageError: there are fewer channels than groups.
        """
        groups, epsilon = self.groups, self.params.epsilon
        if shape[0] < groups:
            raise ffprobe.UsageError(
                f"{shape[0]} channels cannot be cut into {groups} groups.",
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
