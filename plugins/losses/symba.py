"""SymBa: uses only the gap between the positive and negative goodness of each image."""

from __future__ import annotations

import torch
from pydantic import Field
from torch.nn import functional

import ffprobe


class SymBa(ffprobe.Loss):
    """Widens the gap between the positive and the negative goodness of each image: the mean over the batch of
    softplus(-alpha * (positive - negative)).

    The text of the Trifecta prints the gap with the opposite sign (Sec. 4, Eq. 9), which would minimize the separation;
    the sign here is that of Lee & Song and of the authors' code. The text has a sum; this loss takes the mean.
    """

    name = "symba"
    source = "Lee & Song 2023, arXiv:2303.08418; Trifecta, arXiv:2311.18130, Sec. 4"

    class Params(ffprobe.Params):
        """The scale of the gap."""

        alpha: float = Field(
            4.0,
            gt=0,
            description="factor on the gap, in 1 / units of goodness, above 0; larger values penalize a wrong "
            "order more sharply",
        )

    def __call__(self, positive: torch.Tensor, negative: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """Return the scalar loss of the goodness of positives ``[B]`` and negatives ``[B]``."""
        return functional.softplus(-self.params.alpha * (positive - negative)).mean()

    def derivatives(self, positive: torch.Tensor, negative: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """-alpha / B * sigmoid(-alpha * gap) for the positives, its opposite for the negatives."""
        alpha = self.params.alpha
        pull = alpha * torch.sigmoid(-alpha * (positive - negative)) / len(positive)
        return -pull, pull


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [SymBa]
