"""Length normalization: every sample is scaled to the same length."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import nn

import ffprobe


class Length(ffprobe.Normalizer):
    """Scales each sample to a fixed length: x / (l2 norm of x + epsilon) over all features, times 1 or the square root
    of the number of features.

    Only the direction is passed on, so the next layer cannot read the goodness of this one. With length one, the mean
    square is 1 / (number of features), so small in wide layers that it stays far below a threshold of 2 on mean
    squares. In Hinton's own code, the squared activations average one, which is ``root-features`` here (and ``rms``
    except for epsilon).
    """

    name = "length"
    source = "Hinton 2022, arXiv:2212.13345, Sec. 2.1; epsilon as in mohammadpz/pytorch_forward_forward"

    class Params(ffprobe.Params):
        """The length and the numeric guard."""

        to: Literal["one", "root-features"] = Field(
            "one", description="length of the result: one, or root-features (the square root of the number of features)"
        )
        epsilon: float = Field(
            1e-4,
            gt=0,
            description="constant added to the norm for numerical stability, in units of the activation, above 0",
        )

    def build(self, shape: ffprobe.Shape) -> nn.Module:
        """Build a module that maps ``[B, *shape]`` to the same shape."""
        epsilon = self.params.epsilon
        length = math.prod(shape) ** 0.5 if self.params.to == "root-features" else 1.0

        class Module(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                norm = ffprobe.flat_as_stored(x).norm(dim=1) + epsilon
                return x * (length / norm).view(-1, *([1] * (x.dim() - 1)))

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Length]
