"""Each layer's margin plus the margins of earlier layers (cumulative goodness)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch.nn import functional

import ffprobe


class Cumulative(ffprobe.Loss):
    """Adds the margins of earlier layers to a layer's own margin: the mean over the batch of softplus(-beta M).

    M = m + gamma (sum of m over earlier layers), with the margin m = positive - negative of each image. The earlier
    margins carry no gradient. A layer need not separate again what earlier layers already separate: its gradient is
    smaller (free-riding), which ``ffprobe analyze free-riding`` measures. ``gamma=0`` is ``symba``.

    Earlier layers are those with a loss in the same step: all of them with ``greedy``, every second one with ``olu``.
    The sum corresponds to the goodness that evaluators read by summing over layers.
    """

    name = "cumulative"
    source = "free-riding in Forward-Forward, arXiv:2605.06240 (its cumulative loss and beta 4)"

    class Params(ffprobe.Params):
        """The scale of the margin and the weight of earlier layers."""

        beta: float = Field(
            4.0,
            gt=0,
            description="factor on the margin, in 1 / units of goodness, above 0; larger values penalize a "
            "wrong order more sharply",
        )
        gamma: float = Field(0.7, ge=0, description="weight of the margins of earlier layers, at least 0; 0 is SymBa")

    def __call__(self, positive: torch.Tensor, negative: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """Return the scalar loss of the goodness of positives ``[B]`` and negatives ``[B]``."""
        margin = positive - negative
        for right, wrong in context.earlier:
            margin = margin + self.params.gamma * (right - wrong).detach()
        return functional.softplus(-self.params.beta * margin).mean()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Cumulative]
