"""A linear head on features that is fitted once and then classifies new images."""

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
        weight: float64 ``[features, classes]``, for raw features (the z-scoring is folded into the weights).
        bias: float64 ``[classes]``; minus infinity for a class without any fitted image.
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def log_probabilities(self, features: torch.Tensor) -> torch.Tensor:
        """Compute float64 log-probabilities ``[N, classes]`` from features ``[N, features]``."""
        return (features.double() @ self.weight + self.bias).log_softmax(dim=1)


def fit_head(features: torch.Tensor, labels: torch.Tensor, classes: int, l2: float) -> Head:
    """Fit scikit-learn's multinomial logistic regression on z-scored features, with at most 100 L-BFGS iterations.

    Args:
        features: float ``[N, features]``, finite; a constant feature gets weight 0.
        labels: int64 ``[N]``.
        classes: number of classes, including those without fitted images.
        l2: strength of the penalty ``l2 / 2 * ||W||^2`` added to the summed cross-entropy, scikit-learn's ``1 / C``;
            greater than 0.

    Raises:
        FileError: there are fewer than two classes to fit on.
    """
    import torch
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    seen = labels.unique()
    if len(seen) < 2:
        raise FileError(f"A head needs at least two classes, but the images to fit on have {len(seen)}.")
    x = features.double()
    mean, deviation = x.mean(dim=0), x.std(dim=0, correction=0)
    inverse = torch.where(deviation > 1e-7 * mean.abs(), 1 / deviation, 0.0)
    # with a few classes, a product is too thin for several threads: they wait for each other, 8 times slower
    with threadpool_limits(1), warnings.catch_warnings():
        # more iterations change accuracy by less than the choice of the penalty does
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = LogisticRegression(C=1 / l2, tol=1e-6, max_iter=100).fit(
            ((x - mean) * inverse).numpy(), labels.numpy()
        )
    coefficients, intercepts = torch.from_numpy(fitted.coef_.T), torch.from_numpy(fitted.intercept_)
    if len(seen) == 2:  # scikit-learn returns one logit for two classes
        coefficients = torch.cat([torch.zeros_like(coefficients), coefficients], dim=1)
        intercepts = torch.cat([torch.zeros_like(intercepts), intercepts])
    weight, bias = x.new_zeros(x.shape[1], classes), x.new_full((classes,), -torch.inf)
    weight[:, seen] = coefficients * inverse[:, None]
    bias[seen] = intercepts - mean @ weight[:, seen]
    return Head(weight, bias)


def fit_feature_head(calibration: Calibration, layers: Sequence[int], l2: float) -> Head:
    """Fit a head on the concatenated features of several layers, on training images.

    It is fitted once for a calibration and all its subsets.

    Args:
        calibration: a calibration with features.
        layers: indices of the layers whose features are concatenated, in this order.
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
