"""The logistic loss of positives and negatives around the middle of their mean goodness."""

from __future__ import annotations

import torch
from torch.nn import functional

import ffprobe


class Midpoint(ffprobe.Loss):
    """Pushes goodness away from a threshold that follows the batch: mean softplus(theta - positive) + mean
    softplus(negative - theta), with theta = (mean positive + mean negative) / 2, through which no gradient passes.

    Goodness may thus have any scale, and there is no threshold to choose. The gradient of the two terms almost cancels
    with respect to theta, so detaching it changes little.
    """

    name = "midpoint"
    averages = False  # the threshold compares the images of the batch
    source = "strictly local FFA of Zhaoxian-Wu/ffa-theory, code of arXiv:2609.33240"

    def __call__(self, positive: torch.Tensor, negative: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """Return the scalar loss of the goodness of positives ``[B]`` and negatives ``[B]``."""
        theta = self._threshold(positive, negative)
        return functional.softplus(theta - positive).mean() + functional.softplus(negative - theta).mean()

    def derivatives(self, positive: torch.Tensor, negative: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """-sigmoid(theta - positive) / B for the positives, sigmoid(negative - theta) / B for the negatives."""
        theta = self._threshold(positive, negative)
        return -torch.sigmoid(theta - positive) / len(positive), torch.sigmoid(negative - theta) / len(negative)

    def _threshold(self, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
        return (positive.mean() + negative.mean()).detach() / 2


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Midpoint]
