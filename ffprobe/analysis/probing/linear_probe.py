"""Linear probes: multinomial logistic regression by scikit-learn, for many row subsets of many feature matrices."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from ffprobe.analysis.probing.threads import run_in_threads

TOLERANCE, MAX_ITERATIONS = 1e-4, 1000
"""Stopping rule of a fit: the largest entry of the mean loss's gradient (scikit-learn's default), or the number of
L-BFGS iterations. Fits on layers of real runs need some 10 to 100 iterations."""


class LinearProbe(NamedTuple):
    """The linear classifiers fitted on one feature matrix, one for each subset of its rows.

    Attributes:
        weight: ``[R, classes, F]``, of the dtype of the features.
        bias: ``[R, classes]``.
    """

    weight: np.ndarray
    bias: np.ndarray


def fit_linear_probes(
    matrices: Sequence[np.ndarray],
    label: np.ndarray,
    used: np.ndarray,
    classes: int,
    l2: float,
    tolerance: float = TOLERANCE,
) -> list[LinearProbe]:
    """Minimize ``sum of cross-entropies of the used rows + l2 / 2 * ||W||^2`` for each matrix and each subset of rows.

    The fits run side by side in threads. A subset is a sample weight of 0 or 1 for each row, and C-contiguous float32
    features are used by scikit-learn and L-BFGS as they are, so no fit copies its features: measured on 45,000 x 2,048
    features, two fits side by side take 23 MB.

    Args:
        matrices: float32 ``[N, F_i]``, C-contiguous, z-scored. Float64 works, too, with fits and weights in float64.
        label: integers ``[N]``, 0 to ``classes - 1``, each class at least once.
        used: bool ``[R, N]``, true for the rows that a repeat fits on.
        classes: number of classes.
        l2: strength of the penalty, scikit-learn's ``1 / C``; intercepts are not penalized. 0 for no penalty.
        tolerance: largest entry of the gradient of the mean loss at which a fit has converged. Rounding in float32 may
            end a fit before a tolerance of 1e-6.

    Returns:
        The probes of each matrix. A fit that does not converge in ``MAX_ITERATIONS`` keeps its last weights.
    """
    from sklearn.exceptions import ConvergenceWarning

    weights = used.astype(np.float32)
    jobs = [partial(_fit, x, label, weight, classes, l2, tolerance) for x in matrices for weight in weights]
    with warnings.catch_warnings():  # more iterations change accuracy by less than the choice of the penalty does
        warnings.simplefilter("ignore", ConvergenceWarning)
        fits = run_in_threads(jobs, "linear classifier")
    repeats = len(weights)
    starts = range(0, len(fits), repeats)
    return [LinearProbe(*map(np.stack, zip(*fits[i : i + repeats], strict=True))) for i in starts]


def _fit(
    x: np.ndarray, label: np.ndarray, weight: np.ndarray, classes: int, l2: float, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.linear_model import LogisticRegression

    # With two classes scikit-learn fits one weight vector w, their difference. The penalty on two vectors is smallest
    # at w / 2 and -w / 2, where it is l2 / 4 * ||w||^2, half of scikit-learn's.
    strength = l2 / 2 if classes == 2 else l2
    model = LogisticRegression(C=1 / strength if strength else np.inf, tol=tolerance, max_iter=MAX_ITERATIONS)
    model.fit(x, label, sample_weight=weight)
    weight, bias = model.coef_, model.intercept_
    if classes == 2:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight, bias
