"""The goodness of a layer whose goodness head no loss trains."""

from __future__ import annotations

import torch
from torch import nn


class UntrainedGoodness(nn.Module):
    """NaN in place of a learned goodness (a local head) that no loss trains.

    An untrained head would predict at chance and be decayed by the optimizer; NaN marks the layer as not measured.

    Args:
        shape: shape of the goodness of one input: ``(K,)`` in form ``class``, ``()`` in form ``pair``.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, activation: torch.Tensor) -> torch.Tensor:
        """NaN of shape ``[B, *shape]`` for an activation ``[B, ...]``."""
        dtype = torch.float64 if activation.dtype == torch.float64 else torch.float32
        return activation.new_full((len(activation), *self.shape), torch.nan, dtype=dtype)
