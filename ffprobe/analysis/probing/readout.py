"""A linear head on features: fitted once, then asked about new images."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ffprobe.errors import FileError

if TYPE_CHECKING:
    import torch

    from ffprobe.prediction.calibration import Calibration


@dataclass(frozen=True)
class Head:
    """A linear classifier.

    Attributes:
        weight: float64 ``[features, classes]``, on features as they come (z-scoring is folded in).
        bias: float64 ``[classes]``; minus infinity for a class that no fitted image had.
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def log_probabilities(self, features: torch.Tensor) -> torch.Tensor:
        """Float64 ``[N, classes]`` for features ``[N, features]``."""
        return (features.double() @ self.weight + self.bias).log_softmax(dim=1)


def fit_head(features: torch.Tensor, labels: torch.Tensor, classes: int, l2: float) -> Head:
    """Multinomial logistic regression by scikit-learn on z-scored features, a hundred steps of L-BFGS at most.

    Args:
        features: float ``[N, features]``, finite; a constant one has no say.
        labels: int64 ``[N]``.
        classes: how many there are, fitted or not.
        l2: penalty ``l2 / 2 * ||W||^2`` beside the summed cross-entropy, scikit-learn's ``1 / C``; above 0.

    Raises:
        FileError: fewer than two classes are there to fit on.
    """
    import torch
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    seen = labels.unique()
    if len(seen) < 2:
        raise FileError(f"A head needs at least two classes to fit on, and the images to fit on show {len(seen)}.")
    x = features.double()
    mean, deviation = x.mean(dim=0), x.std(dim=0, correction=0)
    inverse = torch.where(deviation > 1e-7 * mean.abs(), 1 / deviation, 0.0)
    with warnings.catch_warnings():  # more steps change accuracy by less than the choice of the penalty does
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = LogisticRegression(C=1 / l2, tol=1e-6, max_iter=100).fit(
            ((x - mean) * inverse).numpy(), labels.numpy()
        )
    coefficients, intercepts = torch.from_numpy(fitted.coef_.T), torch.from_numpy(fitted.intercept_)
    if len(seen) == 2:  # one logit stands for two
        coefficients = torch.cat([torch.zeros_like(coefficients), coefficients], dim=1)
        intercepts = torch.cat([torch.zeros_like(intercepts), intercepts])
    weight, bias = x.new_zeros(x.shape[1], classes), x.new_full((classes,), -torch.inf)
    weight[:, seen] = coefficients * inverse[:, None]
    bias[seen] = intercepts - mean @ weight[:, seen]
    return Head(weight, bias)


def fit_feature_head(calibration: Calibration, layers: Sequence[int], l2: float) -> Head:
    """A head on the features of several layers, side by side, fitted on the images that were learned from.

    It is fitted once for a calibration and all its subsets.

    Args:
        calibration: with features.
        layers: whose features, in this order.
        l2: see ``fit_head``.

    Raises:
        FileError: there are no features, or fewer than two classes to fit on.
    """
    import torch

    from ffprobe.prediction.recorded_label_scan import RECORD

    features, labels = calibration.fit_features, calibration.fit_labels
    if features is None or labels is None:
        raise FileError("There are no recorded activations to fit a head on.", hint=RECORD)

    def fit() -> Head:
        x = torch.cat([features[layer] for layer in layers], dim=1)
        return fit_head(x, labels, calibration.classes, l2)

    return calibration.once(("head", tuple(layers), l2), fit, subsets=True)
