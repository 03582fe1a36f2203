"""What a way of reading predictions gives on recorded goodness, and what it would have cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ffprobe.components.evaluator import Evaluator

if TYPE_CHECKING:
    import torch

    from ffprobe.prediction.calibration import Calibration
    from ffprobe.prediction.label_scan import LabelScan


@dataclass(frozen=True)
class EvaluationResult:
    """The predictions for N images.

    Attributes:
        right: bool ``[N]``, whether the true label was predicted.
        evaluations: how many inputs would have gone through each layer, float ``[L]``, for each image on average.
    """

    right: np.ndarray
    evaluations: np.ndarray

    @property
    def accuracy(self) -> float:
        """Percent of the images."""
        return 100 * float(self.right.mean())

    @property
    def error(self) -> float:
        """Binomial standard error of the accuracy, in percentage points."""
        return (self.accuracy * (100 - self.accuracy) / len(self.right)) ** 0.5

    @property
    def cost(self) -> float:
        """Layer evaluations for each image, on average."""
        return float(self.evaluations.sum())

    def weighted(self, weights: Sequence[float]) -> float:
        """The cost with each layer's evaluations multiplied by its weight, such as its multiply-adds."""
        return float(self.evaluations @ np.asarray(weights, float))


def evaluate(evaluator: Evaluator, sweep: LabelScan, labels: torch.Tensor) -> EvaluationResult:
    """Let an evaluator read a sweep.

    Args:
        evaluator: calibrated, if it needs to be.
        sweep: of N images.
        labels: int64 ``[N]``, true.
    """
    named = evaluator.predict(sweep)
    return EvaluationResult((named == labels).numpy(), np.asarray(sweep.evaluations, float) / len(labels))


def cross_fitted(make: Callable[[], Evaluator], halves: Sequence[Calibration]) -> EvaluationResult:
    """Read validation images with what was chosen on other validation images.

    Each half is read by an evaluator that was calibrated on the other one, so that no image has a say in its own
    prediction.

    Args:
        make: gives a fresh evaluator.
        halves: two disjoint parts of the validation images (``Calibration.halves``).

    Returns:
        The images of the first half, then those of the second.
    """
    first, second = halves
    parts = []
    for own, other in ((first, second), (second, first)):
        evaluator = make()
        evaluator.calibrate(other)
        parts.append(evaluate(evaluator, own.sweep(), own.labels))
    counts = [len(part.right) for part in parts]
    evaluations = np.average([part.evaluations for part in parts], axis=0, weights=counts)
    return EvaluationResult(np.concatenate([part.right for part in parts]), evaluations)
