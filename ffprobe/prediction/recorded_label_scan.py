"""A label scan over recorded goodness: nothing is computed, the cost is only counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch

from ffprobe.errors import FileError
from ffprobe.prediction.label_scan import LabelScan


class RecordedLabelScan(LabelScan):
    """The results of a label scan over a network, from recorded goodness.

    Args:
        goodness: recorded goodness, float ``[L, N, K]``.
        features: features of the same N images, by layer, each ``[N, features]``; None if none were recorded.
        form: form of the goodness; it decides how the cost is counted.
    """

    def __init__(
        self,
        goodness: torch.Tensor,
        features: Mapping[int, torch.Tensor] | None = None,
        form: Literal["pair", "class"] = "pair",
    ) -> None:
        depth, images, classes = goodness.shape
        super().__init__(images, depth, classes, form)
        self._goodness, self._recorded = goodness, features

    def _advance(self, layer: int, alive: torch.Tensor) -> torch.Tensor:
        return self._goodness[layer].masked_fill(~alive, torch.nan)

    def _full(self, layers: Sequence[int]) -> torch.Tensor:
        if len(layers) == self.depth:
            return self._goodness
        goodness = torch.full_like(self._goodness, torch.nan)
        goodness[list(layers)] = self._goodness[list(layers)]
        return goodness

    def _features(self, layers: Sequence[int]) -> dict[int, torch.Tensor]:
        if self._recorded is None:
            raise FileError("The run has no recorded activations, which features need.", hint=RECORD)
        return {layer: self._recorded[layer] for layer in layers}


RECORD = "Train again with --set recording.activations=true, or with the plugin probes."
"""The hint for missing activations."""
