"""Statistics of a layer's activation before it is reduced for recording: dead units, sparsity, class selectivity."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

MOST_SUMS = 1 << 24
"""Maximum number of sums for the class entropy, classes times units; beyond it, every n-th unit is used."""


class ActivationStatistics:
    """Statistics of one layer's activation over N images, from batches.

    They are defined as in ``ffprobe.Representation``, but for every unit of the layer, at every position of a feature
    map. Average pooling hides zeros: a pooled value is 0 only if the whole window is, so pooled activations look less
    sparse, and the less so the smaller the window, that is, the deeper the layer.

    Args:
        labels: true labels of the N images, int64 ``[N]``; only the classes among them count.
    """

    def __init__(self, labels: torch.Tensor) -> None:
        classes, self._class = labels.cpu().unique(return_inverse=True)
        self._counts = torch.bincount(self._class, minlength=len(classes)).double()
        self._images = self._nonzero = self._units = 0
        self._hoyer: list[torch.Tensor] = []
        self._alive = torch.empty(0)
        self._sums = torch.empty(0)

    def add(self, activation: torch.Tensor) -> None:
        """Add the next images, in the order of the labels.

        Args:
            activation: float32 ``[B, *shape]``, on any device.
        """
        size = activation.flatten(1).abs()
        batch, units = size.shape
        stride = -(-len(self._counts) * units // MOST_SUMS)
        rows = self._class[self._images : self._images + batch].to(size.device)
        member = functional.one_hot(rows, len(self._counts)).T.to(size.dtype)  # [K, B]
        alive, sums = (size != 0).any(dim=0), (member @ size[:, ::stride]).cpu().double()
        if not self._images:
            self._alive, self._sums = torch.zeros_like(alive), torch.zeros_like(sums)
        self._alive, self._sums = self._alive | alive, self._sums + sums
        self._images, self._units = self._images + batch, units
        self._nonzero += int((size != 0).sum())
        if units > 1:
            rows = size[size.any(dim=1)]
            ratio = rows.sum(dim=1, dtype=torch.float64) / torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64)
            self._hoyer.append(((math.sqrt(units) - ratio) / (math.sqrt(units) - 1)).cpu())

    def result(self) -> dict[str, float]:
        """The statistics by name, as the file names them; NaN where one is not defined."""
        hoyer = torch.cat(self._hoyer) if self._hoyer else torch.empty(0)
        return {
            "unreduced_dead": 1 - float(self._alive.double().mean()),
            "unreduced_active": self._nonzero / (self._images * self._units),
            "unreduced_hoyer": float(hoyer.mean()) if len(hoyer) else math.nan,
            "unreduced_class_entropy": self._class_entropy(),
        }

    def _class_entropy(self) -> float:
        strength = self._sums / self._counts[:, None]
        strength = strength[:, strength.sum(dim=0) > 0]
        if len(strength) < 2 or not strength.shape[1]:
            return math.nan
        share = strength / strength.sum(dim=0)
        return float((torch.special.entr(share).sum(dim=0) / math.log(len(share))).mean())
