"""The original Forward-Forward loss: positives above a threshold, negatives below it."""

from __future__ import annotations

import torch
from pydantic import AliasChoices, Field
from torch.nn import functional

import ffprobe


class FixedThreshold(ffprobe.Loss):
    """mean over the 2B values softplus(threshold - positive) and softplus(negative - threshold).

    The mean over all 2B values stands for the text's sum, as in the public implementations.
    """

    name = "fixed-threshold"
    aliases = ("fixed_threshold", "ftl")
    source = "Hinton 2022, arXiv:2212.13345, Sec. 2; Trifecta, arXiv:2311.18130, Sec. 3"

    class Params(ffprobe.Params):
        """Where positives and negatives part."""

        threshold: float = Field(
            2.0,
            validation_alias=AliasChoices("threshold", "tau"),
            description="in units of goodness (mean of squares); the Trifecta uses 2, and 10 on CIFAR-10",
        )

    def __call__(self, positive: torch.Tensor, negative: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """A scalar from the goodness of positives ``[B]`` and of negatives ``[B]``."""
        threshold = self.params.threshold
        return functional.softplus(torch.cat([threshold - positive, negative - threshold])).mean()

    def derivatives(self, positive: torch.Tensor, negative: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """-sigmoid(threshold - positive) / 2B and sigmoid(negative - threshold) / 2B."""
        threshold, count = self.params.threshold, 2 * len(positive)
        return -torch.sigmoid(threshold - positive) / count, torch.sigmoid(negative - threshold) / count


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [FixedThreshold]
