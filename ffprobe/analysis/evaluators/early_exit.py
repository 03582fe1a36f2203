"""What goodness seen so far says of how a full sweep will end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

    from ffprobe.prediction.calibration import Calibration

L2 = 1e-5
"""Penalty on the mean loss, on goodness divided by its standard deviation: only keeps weights finite."""


@dataclass(frozen=True)
class EarlyExitModel:
    """How likely each label is to be named by a full sweep, after some layers.

    The log odds of two labels are a weighted sum of their goodness in every layer so far, and a constant of each
    label's own. A weight may be negative: of two labels equally good now, the one that was worse before is rising.

    Attributes:
        weight: float64 ``[L - 1, L - 1]``: row l weighs layers 0 to l after layer l, zero for later and untaught ones.
        bias: float64 ``[L - 1, K]``.
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def log_odds(self, seen: Sequence[torch.Tensor]) -> torch.Tensor:
        """Log odds ``[N, K]`` up to a constant of each image.

        Args:
            seen: goodness ``[N, K]`` of each layer so far, first to last; NaN where a label was left behind or a layer
                is untaught, of which nothing is said.
        """
        weights = self.weight[len(seen) - 1]
        total = self.bias[len(seen) - 1].expand(seen[0].shape)
        for goodness, weight in zip(seen, weights, strict=False):
            if float(weight):
                total = total + float(weight) * goodness.double()
        return total


def fit_early_exit(calibration: Calibration, named: torch.Tensor) -> EarlyExitModel:
    """Fit an outlook to validation images, by maximum likelihood for each layer.

    Only images that a full sweep names rightly are fitted: on the others, leaving early can do no harm.

    Args:
        calibration: validation images.
        named: int64 ``[N]``, the label that a full sweep names.
    """
    import torch

    depth, classes, taught = calibration.depth, calibration.classes, calibration.trained_layers
    weight, bias = torch.zeros(depth - 1, depth - 1).double(), torch.zeros(depth - 1, classes).double()
    right = named == calibration.labels
    rows = right if bool(right.any()) else torch.ones_like(right)
    goodness, target = calibration.goodness[:, rows].double().numpy(), named[rows].numpy()
    for layer in range(depth - 1):
        use = [i for i in taught if i <= layer]
        if not use:
            continue
        found = _fit(goodness[use].transpose(1, 2, 0), target)
        weight[layer, use], bias[layer] = torch.from_numpy(found[: len(use)]), torch.from_numpy(found[len(use) :])
    return EarlyExitModel(weight, bias)


def _fit(x: np.ndarray[Any, Any], target: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    # x [N, K, F]: weights [F] of what labels share, then a constant for each label [K]
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

    found = minimize(loss, np.zeros(features + classes), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    found[:features] /= scale
    return np.asarray(found)
