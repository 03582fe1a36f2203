"""Predicts the label with the largest mean goodness over the most accurate interval of layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from pydantic import Field

import ffprobe


class Interval(ffprobe.Evaluator):
    """Averages goodness over an interval of neighbouring layers; tries every interval on the validation set and takes
    the most accurate.

    Among equally accurate intervals, the one that ends first wins, then the shortest. Before calibration, it uses the
    last layer.
    """

    name = "interval"
    source = "DeeperForward (ICLR 2025), which searches the layers to read from in this way"

    class Params(ffprobe.Params):
        """The ends of the interval; open ends are chosen on the validation set."""

        first: int | None = Field(
            None, ge=1, description="first layer of the interval, from 1; empty: chosen on the validation set"
        )
        last: int | None = Field(
            None, ge=1, description="last layer of the interval, from 1; empty: chosen on the validation set"
        )

    def calibrate(self, calibration: ffprobe.Calibration) -> None:
        """Try every interval that the settings allow."""
        goodness = calibration.goodness.nan_to_num()  # no interval contains a layer that no loss trains
        sums = torch.cat([torch.zeros_like(goodness[:1]), goodness.cumsum(dim=0)])
        tried = []
        trained = set(calibration.trained_layers)
        for first, last in self._intervals(calibration.depth):
            if not trained.issuperset(range(first, last + 1)):
                continue
            named = ffprobe.predicted_labels(sums[last + 1] - sums[first])
            tried.append((-int((named == calibration.labels).sum()), last, -first))
        if not tried:
            raise ffprobe.UsageError(
                f"No interval of layers with goodness fits the settings; the network has {calibration.depth} layers.",
                hint="Change the settings 'first' and 'last' of the evaluator 'interval'.",
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
        """Map ``[L, N, K]`` to ``[N, K]``."""
        return goodness[self.layers(goodness.shape[0])].mean(dim=0)

    def _intervals(self, depth: int) -> Iterator[tuple[int, int]]:
        params: Any = self.params
        for last in range(depth) if params.last is None else [params.last - 1][: params.last <= depth]:
            for first in range(last + 1) if params.first is None else [params.first - 1][: params.first <= last + 1]:
                yield first, last


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Interval]
