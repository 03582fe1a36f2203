"""SymBa: the loss sees only the gap between positive and negative goodness of one image."""

from __future__ import annotations

import torch
from pydantic import Field
from torch.nn import functional

import ffprobe


class SymBa(ffprobe.Loss):
    """mean over the batch of softplus(-alpha * (positive - negative)), each image's pair together.

    The Trifecta's text prints the gap with the other sign (Sec. 4, Eq. 9), which would minimize the separation; the
    sign here is that of Lee & Song and of the authors' code. The mean stands for the text's sum.
    """

    name = "symba"
    source = "Lee & Song 2023, arXiv:2303.08418; Trifecta, arXiv:2311.18130, Sec. 4"

    class Params(ffprobe.Params):
        """How sharply a wrong order is punished."""

        alpha: float = Field(4.0, gt=0, description="scale of the gap, 1 per unit of goodness")

    def __call__(self, positive: torch.Tensor, negative: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """A scalar from the goodness of positives ``[B]`` and of their negatives ``[B]``."""
        return functional.softplus(-self.params.alpha * (positive - negative)).mean()

    def derivatives(self, positive: torch.Tensor, negative: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """-alpha / B * sigmoid(-alpha * gap) for the positives, its opposite for the negatives."""
        alpha = self.params.alpha
        pull = alpha * torch.sigmoid(-alpha * (positive - negative)) / len(positive)
        return -pull, pull


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [SymBa]
