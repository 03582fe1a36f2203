"""A linear head on the features of one forward pass with the neutral label."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field

import ffprobe


class OnePass(ffprobe.Evaluator):
    """Predicts with one forward pass: multinomial logistic regression on features of the neutral label, fitted on
    recorded training images.

    It tries no label, so the cost does not grow with the number of classes. The features are the activations of the
    layers, reduced as in the run file and z-scored; Hinton uses the normalized activities of all layers but the first.
    """

    name = "one-pass"
    source = "Hinton 2022, arXiv:2212.13345, Sec. 3.3; Trifecta, arXiv:2311.18130, App. H"
    needs = frozenset({"activations"})
    reads_goodness = False

    class Params(ffprobe.Params):
        """The features and the regularization."""

        layers: Literal["all", "all-but-first", "last"] = Field(
            "all", description="layers whose features the head reads: all, all-but-first, or last"
        )
        l2: float = Field(
            10.0, gt=0, description="L2 penalty l2 / 2 * ||W||^2 on the summed loss, for z-scored features, above 0"
        )

    def layers(self, depth: int) -> list[int]:
        """The layers whose features the head reads; if the network has only one layer, all-but-first uses it."""
        first = {"all": 0, "all-but-first": 1, "last": depth - 1}[self.params.layers]
        return list(range(min(first, depth - 1), depth))

    def calibrate(self, calibration: ffprobe.Calibration) -> None:
        """Fit the head on recorded training images."""
        head = ffprobe.fit_feature_head(calibration, self.layers(calibration.depth), self.params.l2)
        self.chosen = {"weight": head.weight, "bias": head.bias}

    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        """Refuse: this evaluator has no scores from goodness.

        Raises:
            UsageError: always.
        """
        raise ffprobe.UsageError(
            "The evaluator 'one-pass' reads features; it has no scores from goodness.",
            hint="Use `ffprobe predict RUN --evaluator one-pass`, which runs the network.",
        )

    def read(self, scan: ffprobe.LabelScan) -> torch.Tensor:
        """Log probabilities ``[N, K]``."""
        features = scan.features(self.layers(scan.depth))
        return ffprobe.Head(**self.chosen).log_probabilities(torch.cat(list(features.values()), dim=1))


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [OnePass]
