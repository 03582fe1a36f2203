"""The label whose goodness, averaged over the best run of neighbouring layers, is largest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from pydantic import Field

import ffprobe


class Interval(ffprobe.Evaluator):
    """Mean goodness over neighbouring layers, every interval tried on the validation set and the most accurate taken.

    Of equally accurate intervals the one that ends first, then the shortest. Before calibration: the last layer.
    """

    name = "interval"
    source = "DeeperForward (ICLR 2025), which searches the layers to read from in this way"

    class Params(ffprobe.Params):
        """One end of the interval, or both; what is left open is chosen on the validation set."""

        first: int | None = Field(None, ge=1, description="first layer, from 1; empty: chosen")
        last: int | None = Field(None, ge=1, description="last layer, from 1; empty: chosen")

    def calibrate(self, calibration: ffprobe.Calibration) -> None:
        """Try every interval that the settings leave."""
        goodness = calibration.goodness.nan_to_num()  # layers that no loss teaches are in no interval
        sums = torch.cat([torch.zeros_like(goodness[:1]), goodness.cumsum(dim=0)])
        tried = []
        taught = set(calibration.trained_layers)
        for first, last in self._intervals(calibration.depth):
            if not taught.issuperset(range(first, last + 1)):
                continue
            named = (sums[last + 1] - sums[first]).argmax(dim=1)
            tried.append((-int((named == calibration.labels).sum()), last, -first))
        if not tried:
            raise ffprobe.UsageError(
                f"A network of {calibration.depth} layers has no such interval of layers with goodness."
            )
        _, last, first = min(tried)
        self.chosen = {"first": 1 - first, "last": 1 + last}

    def layers(self, depth: int) -> list[int]:
        """The layers of the interval."""
        if self.chosen:
            return list(range(self.chosen["first"] - 1, self.chosen["last"]))
        last = min(self.params.last or depth, depth)
        return list(range(min(self.params.first or last, last) - 1, last))

    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        """``[L, N, K]`` to ``[N, K]``."""
        return goodness[self.layers(goodness.shape[0])].mean(dim=0)

    def _intervals(self, depth: int) -> Iterator[tuple[int, int]]:
        said: Any = self.params
        for last in range(depth) if said.last is None else [said.last - 1][: said.last <= depth]:
            for first in range(last + 1) if said.first is None else [said.first - 1][: said.first <= last + 1]:
                yield first, last


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Interval]
