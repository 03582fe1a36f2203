"""Early exit: a model that predicts the result of a full label scan from the goodness of the first layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

    from ffprobe.prediction.calibration import Calibration

L2 = 1e-5
"""Penalty added to the mean loss, for goodness divided by its standard deviation; it only keeps weights finite."""


@dataclass(frozen=True)
class EarlyExitModel:
    """The probability of each label to be predicted by a full label scan, estimated after the first layers.

    The log odds of two labels are a weighted sum of their goodness in every layer so far, plus a constant for each
    label. A weight may be negative: of two labels with equal goodness now, the one with the lower goodness before is
    rising.

    Attributes:
        weight: float64 ``[L - 1, L - 1]``: row l contains the weights of layers 0 to l after layer l; they are 0 for
            later and untrained layers.
        bias: float64 ``[L - 1, K]``.
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def log_odds(self, seen: Sequence[torch.Tensor]) -> torch.Tensor:
        """Compute log odds ``[N, K]``, up to a constant for each image.

        Args:
            seen: goodness ``[N, K]`` of each layer so far, first to last; NaN for labels that were dropped and for
                untrained layers, for which the result is not defined.
        """
        weights = self.weight[len(seen) - 1]
        total = self.bias[len(seen) - 1].expand(seen[0].shape)
        for goodness, weight in zip(seen, weights, strict=False):
            if float(weight):
                total = total + float(weight) * goodness.double()
        return total


def fit_early_exit(calibration: Calibration, predicted: torch.Tensor) -> EarlyExitModel:
    """Fit an early-exit model to validation images, by maximum likelihood for each layer.

    Only images that a full label scan predicts correctly are used: on the others, an early exit can do no harm.

    Args:
        calibration: validation images.
        predicted: int64 ``[N]``, the label that a full label scan predicts; -1 where it predicts none.
    """
    import torch
    from threadpoolctl import threadpool_limits

    depth, classes, trained = calibration.depth, calibration.classes, calibration.trained_layers
    weight, bias = torch.zeros(depth - 1, depth - 1).double(), torch.zeros(depth - 1, classes).double()
    correct = predicted == calibration.labels
    rows = correct if bool(correct.any()) else torch.ones_like(correct)
    target = torch.where(predicted < 0, calibration.labels, predicted)[rows].numpy()
    goodness = calibration.goodness[:, rows].double().numpy()
    with threadpool_limits(1):  # the problems are too small for several threads, which wait for each other
        for layer in range(depth - 1):
            use = [i for i in trained if i <= layer]
            if not use:
                continue
            fitted = torch.from_numpy(_fit(goodness[use].transpose(1, 2, 0), target))
            weight[layer, use], bias[layer] = fitted[: len(use)], fitted[len(use) :]
    return EarlyExitModel(weight, bias)


def _fit(x: np.ndarray[Any, Any], target: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    # x [N, K, F]: returns the weights [F] that all labels share, then a constant for each label [K]
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    rows, classes, features = x.shape
    scale = np.maximum(x.std(axis=(0, 1)), 1e-12)
    x, at = x / scale, np.arange(rows)

    def loss(parameters: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        log_p = log_softmax(x @ parameters[:features] + parameters[features:], axis=1)
        error = np.exp(log_p)
        error[at, target] -= 1
        gradient = np.concatenate([np.tensordot(error, x, 2), error.sum(axis=0)]) / rows + 2 * L2 * parameters
        return float(-log_p[at, target].mean() + L2 * (parameters**2).sum()), gradient

    fitted = minimize(loss, np.zeros(features + classes), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    fitted[:features] /= scale
    return np.asarray(fitted)
