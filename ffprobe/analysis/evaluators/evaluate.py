"""Accuracy and cost of an evaluator on recorded goodness."""

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
    """The correctness and the cost of the predictions for N images.

    Attributes:
        right: bool ``[N]``, whether the true label was predicted.
        evaluations: float ``[L]``, the mean number of inputs for an image that each layer evaluates.
    """

    right: np.ndarray
    evaluations: np.ndarray

    @property
    def accuracy(self) -> float:
        """Accuracy in percent."""
        return 100 * float(self.right.mean())

    @property
    def error(self) -> float:
        """Binomial standard error of the accuracy, in percentage points."""
        return (self.accuracy * (100 - self.accuracy) / len(self.right)) ** 0.5

    @property
    def cost(self) -> float:
        """Mean number of layer evaluations for an image."""
        return float(self.evaluations.sum())

    def weighted(self, weights: Sequence[float]) -> float:
        """Return the cost with the evaluations of each layer multiplied by its weight, such as its multiply-adds."""
        return float(self.evaluations @ np.asarray(weights, float))


def evaluate(evaluator: Evaluator, scan: LabelScan, labels: torch.Tensor) -> EvaluationResult:
    """Evaluate an evaluator on a label scan.

    Args:
        evaluator: calibrated, if it needs calibration.
        scan: a label scan of N images.
        labels: int64 ``[N]``, the true labels.
    """
    predicted = evaluator.predict(scan)
    return EvaluationResult((predicted == labels).numpy(), np.asarray(scan.evaluations, float) / len(labels))


def cross_fitted(make: Callable[[], Evaluator], halves: Sequence[Calibration]) -> EvaluationResult:
    """Evaluate on validation images with settings calibrated on other validation images (cross-fitting).

    Each half is predicted by an evaluator that was calibrated on the other half, so that no image influences its own
    prediction.

    Args:
        make: returns a new evaluator.
        halves: two disjoint parts of the validation images (``Calibration.halves``).

    Returns:
        The result for the images of the first half, followed by those of the second.
    """
    first, second = halves
    parts = []
    for half, other in ((first, second), (second, first)):
        evaluator = make()
        evaluator.calibrate(other)
        parts.append(evaluate(evaluator, half.scan(), half.labels))
    counts = [len(part.right) for part in parts]
    evaluations = np.average([part.evaluations for part in parts], axis=0, weights=counts)
    return EvaluationResult(np.concatenate([part.right for part in parts]), evaluations)
