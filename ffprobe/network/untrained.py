"""The goodness of a layer that no loss teaches."""

from __future__ import annotations

import torch
from torch import nn


class UntrainedGoodness(nn.Module):
    """NaN in the place of a learned goodness (a local head) that no loss would ever reach.

    An untrained head would predict at chance and be decayed by the optimizer; NaN says that nothing was asked here.

    Args:
        shape: of the goodness of one input: ``(K,)``, or ``()`` in form ``pair``.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, activation: torch.Tensor) -> torch.Tensor:
        """An activation ``[B, ...]`` to ``[B, *shape]``."""
        dtype = torch.float64 if activation.dtype == torch.float64 else torch.float32
        return activation.new_full((len(activation), *self.shape), torch.nan, dtype=dtype)
