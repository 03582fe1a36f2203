"""The original Forward-Forward loss, with positives above a threshold and negatives below it."""

from __future__ import annotations

import torch
from pydantic import AliasChoices, Field
from torch.nn import functional

import ffprobe


class FixedThreshold(ffprobe.Loss):
    """Pushes the goodness of positives above a fixed threshold and that of negatives below it.

    The loss is the mean over the 2B values softplus(threshold - positive) and softplus(negative - threshold). The text
    has a sum; like the public implementations, this loss takes the mean over all 2B values.
    """

    name = "fixed-threshold"
    aliases = ("fixed_threshold", "ftl")
    source = "Hinton 2022, arXiv:2212.13345, Sec. 2; Trifecta, arXiv:2311.18130, Sec. 3"

    class Params(ffprobe.Params):
        """The threshold between positives and negatives."""

        threshold: float = Field(
            2.0,
            validation_alias=AliasChoices("threshold", "tau"),
            description="threshold, in units of goodness (mean of squares); the Trifecta uses 2, and 10 on CIFAR-10",
        )

    def __call__(self, positive: torch.Tensor, negative: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """Return the scalar loss of the goodness of positives ``[B]`` and negatives ``[B]``."""
        threshold = self.params.threshold
        return functional.softplus(torch.cat([threshold - positive, negative - threshold])).mean()

    def derivatives(self, positive: torch.Tensor, negative: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """-sigmoid(threshold - positive) / 2B and sigmoid(negative - threshold) / 2B."""
        threshold, count = self.params.threshold, 2 * len(positive)
        return -torch.sigmoid(threshold - positive) / count, torch.sigmoid(negative - threshold) / count


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [FixedThreshold]
