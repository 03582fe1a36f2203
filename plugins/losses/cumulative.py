"""A layer's margin with the margins of earlier layers added: cumulative goodness, and its free riders."""

from __future__ import annotations

import torch
from pydantic import Field
from torch.nn import functional

import ffprobe


class Cumulative(ffprobe.Loss):
    """mean over the batch of softplus(-beta M), M = m + gamma (sum of earlier layers' m), m = positive - negative.

    Earlier margins are numbers without gradient, each image's own. What they separate already a layer need not separate
    again: it gets less of a gradient, which ``ffprobe analyze free-riding`` measures. ``gamma=0`` is ``symba``.

    Earlier layers are those that had a loss in the same step: all of them under ``greedy``, every second one under
    ``olu``. The sum stands for the goodness of all layers that the sum evaluators read.
    """

    name = "cumulative"
    source = "free-riding in Forward-Forward, arXiv:2605.06240 (its cumulative loss and beta 4)"

    class Params(ffprobe.Params):
        """How sharply a wrong order is punished, and how much earlier layers count."""

        beta: float = Field(4.0, gt=0, description="scale of the margin, 1 per unit of goodness")
        gamma: float = Field(0.7, ge=0, description="weight of the earlier layers' margins")

    def __call__(self, positive: torch.Tensor, negative: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """A scalar from the goodness of positives ``[B]`` and of their negatives ``[B]``."""
        margin = positive - negative
        for right, wrong in context.earlier:
            margin = margin + self.params.gamma * (right - wrong).detach()
        return functional.softplus(-self.params.beta * margin).mean()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Cumulative]
