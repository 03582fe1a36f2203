"""The Brier score: the squared distance between predicted probabilities and the one-hot label."""

from __future__ import annotations

import torch
from torch.nn import functional

import ffprobe


class Brier(ffprobe.Loss):
    """The mean over the batch of sum_k (p_k - y_k)^2, where p is the softmax of goodness and y the one-hot label.

    It lies between 0 and 2. Unlike cross entropy it is bounded: one confident mistake costs at most 2.
    """

    name = "brier"
    form = "class"
    source = "Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2"

    def __call__(self, goodness: torch.Tensor, labels: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """Return the scalar loss of goodness ``[B, K]`` and labels ``[B]``."""
        target = functional.one_hot(labels, goodness.shape[1]).to(goodness.dtype)
        return (goodness.softmax(dim=1) - target).square().sum(dim=1).mean()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Brier]
