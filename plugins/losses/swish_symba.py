"""SymBa with the swish in place of the softplus."""

from __future__ import annotations

import torch
from pydantic import Field
from torch.nn import functional

import ffprobe


class SwishSymBa(ffprobe.Loss):
    """mean over the batch of silu(-alpha * (positive - negative)), silu(x) = x sigmoid(x); each image's pair together.

    A wrong order is punished as by ``symba``; unlike there, the loss has a minimum, where alpha times the gap is 1.278,
    and a pair that is further apart than that is pulled together a little.
    """

    name = "swish-symba"
    source = "public code github.com/dah33 (Forward-Forward with a swish of the gap), alpha 6; no paper known"

    class Params(ffprobe.Params):
        """How sharply a wrong order is punished."""

        alpha: float = Field(6.0, gt=0, description="scale of the gap, 1 per unit of goodness")

    def __call__(self, positive: torch.Tensor, negative: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """A scalar from the goodness of positives ``[B]`` and of their negatives ``[B]``."""
        return functional.silu(-self.params.alpha * (positive - negative)).mean()

    def derivatives(self, positive: torch.Tensor, negative: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """With x = -alpha * gap and s = sigmoid(x): -alpha / B * s (1 + x (1 - s)) for the positives, its opposite."""
        alpha = self.params.alpha
        x = -alpha * (positive - negative)
        share = torch.sigmoid(x)
        pull = alpha * share * (1 + x * (1 - share)) / len(positive)
        return -pull, pull


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [SwishSymBa]
