"""A sweep over goodness that was recorded: nothing is computed, the cost is only counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch

from ffprobe.errors import FileError
from ffprobe.prediction.label_scan import LabelScan


class RecordedLabelScan(LabelScan):
    """What a live sweep would hand out, from the file.

    Args:
        goodness: float ``[L, N, K]``.
        features: of the same N images, by layer, each ``[N, units]``; None when none were recorded.
        form: of the goodness; decides what is counted.
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
        found = torch.full_like(self._goodness, torch.nan)
        found[list(layers)] = self._goodness[list(layers)]
        return found

    def _features(self, layers: Sequence[int]) -> dict[int, torch.Tensor]:
        if self._recorded is None:
            raise FileError("There are no recorded activations to read features from.", hint=RECORD)
        return {layer: self._recorded[layer] for layer in layers}


RECORD = "Train again with --set recording.activations=true, or with the plugin probes."
"""What to do when activations are missing."""
