"""Length normalization: every sample becomes a vector of length one."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

import ffprobe


class Length(ffprobe.Normalizer):
    """x / (l2 norm of x + epsilon), over all features of a sample.

    Only the direction is passed on, so the next layer cannot read the goodness of this one. Mean squares become
    1 / (number of features), which is small in wide layers; ``rms`` keeps them at one.
    """

    name = "length"
    source = "Hinton 2022, arXiv:2212.13345, Sec. 2.1; epsilon as in mohammadpz/pytorch_forward_forward"

    class Params(ffprobe.Params):
        """The guard against dividing by zero."""

        epsilon: float = Field(1e-4, gt=0, description="added to the norm, in units of the activation")

    def build(self, shape: ffprobe.Shape) -> nn.Module:
        """``[B, *shape]``, same shape out."""
        epsilon = self.params.epsilon

        class Module(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                norm = x.flatten(1).norm(dim=1) + epsilon
                return x / norm.view(-1, *([1] * (x.dim() - 1)))

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Length]
