"""A linear head on the features of one pass with the neutral label."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field

import ffprobe


class OnePass(ffprobe.Evaluator):
    """Multinomial logistic regression on neutral-label features, fitted on recorded images that were learned from.

    No label is ever tried, so the cost does not grow with the number of classes. Features are each layer's activation,
    reduced as in the run file, z-scored; Hinton takes the normalized activities of all layers but the first.
    """

    name = "one-pass"
    source = "Hinton 2022, arXiv:2212.13345, Sec. 3.3; Trifecta, arXiv:2311.18130, App. H"
    needs = frozenset({"activations"})
    reads_goodness = False

    class Params(ffprobe.Params):
        """Which features, and how the head is fitted."""

        layers: Literal["all", "all-but-first", "last"] = Field("all", description="the layers whose features are used")
        l2: float = Field(10.0, gt=0, description="penalty on the summed loss, l2 / 2 * ||W||^2, on z-scored features")

    def layers(self, depth: int) -> list[int]:
        """The layers whose features are used; a single layer is never left out as the first."""
        first = {"all": 0, "all-but-first": 1, "last": depth - 1}[self.params.layers]
        return list(range(min(first, depth - 1), depth))

    def calibrate(self, calibration: ffprobe.Calibration) -> None:
        """Fit the head on the images learned from."""
        head = ffprobe.fit_feature_head(calibration, self.layers(calibration.depth), self.params.l2)
        self.chosen = {"weight": head.weight, "bias": head.bias}

    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        """There are none from goodness.

        Raises:
            UsageError: always.
        """
        raise ffprobe.UsageError(
            "one-pass reads features, and no scores follow from goodness.",
            hint="Ask `ffprobe predict RUN --evaluator one-pass`, which runs the network.",
        )

    def read(self, sweep: ffprobe.LabelScan) -> torch.Tensor:
        """Log probabilities ``[N, K]``."""
        features = sweep.features(self.layers(sweep.depth))
        return ffprobe.Head(**self.chosen).log_probabilities(torch.cat(list(features.values()), dim=1))


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [OnePass]
