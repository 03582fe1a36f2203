"""Multinomial logistic regression for many row subsets of one matrix at once.

The subsets share rows, so their optima and their curvature are alike: one fit to all rows comes first, and what it
learns of the inverse Hessian speeds up all the others. Logits are linear in the weights, so a whole line search costs
one product with the features.
"""

from __future__ import annotations

import numpy as np

from ffprobe.analysis.probing.quasi_newton import InverseHessian

TOLERANCE, STEPS = 1e-4, 500
"""Where a fit ends: the largest entry of the mean loss's gradient (scikit-learn's rule and default), or many steps."""


def fit_logistic(
    x: np.ndarray, label: np.ndarray, used: np.ndarray, classes: int, l2: float, tolerance: float = TOLERANCE
) -> np.ndarray:
    """Weights that minimize ``sum of cross-entropies of the used rows + l2 / 2 * ||W||^2``, for each subset of rows.

    A single subset is fitted by BFGS. Of several, the mean is fitted so; then each follows by conjugate gradients
    (Polak-Ribiere, restarted where they do not descend) preconditioned by the inverse Hessian of that fit.

    Args:
        x: float32 ``[N, F]``, z-scored, the last column ones: its weights are the intercepts and free of penalty.
        label: integers ``[N]``, 0 to ``classes - 1``.
        used: ``[R, N]``, true for the rows that a repeat fits on.
        classes: how many.
        l2: strength of the penalty, scikit-learn's ``1 / C``.
        tolerance: of the gradient, divided by the number of rows.

    Returns:
        Float32 ``[R, classes, F]``.
    """
    weight = used.astype(np.float32)
    fit = _Descent(x, label, classes, l2, tolerance)
    start = np.zeros((1, classes, x.shape[1]), np.float32), np.zeros((1, classes, len(x)), np.float32)
    if len(weight) > 1:
        weights, logits = fit.run(*start, weight.mean(axis=0, keepdims=True), learn=True)
        start = weights.repeat(len(weight), axis=0), logits.repeat(len(weight), axis=0)
    return fit.run(*start, weight, learn=len(weight) == 1)[0]


class _Descent:
    """Ways down on one matrix, which share what was learned of the curvature."""

    def __init__(self, x: np.ndarray, label: np.ndarray, classes: int, l2: float, tolerance: float) -> None:
        self.x, self.tolerance = x, tolerance
        self.at_truth = (slice(None), label, np.arange(len(x)))  # of [R, K, N]: the logits of the true classes
        self.penalty = np.full(x.shape[1], l2, np.float32)
        self.penalty[-1] = 0
        self.curvature = InverseHessian(classes * x.shape[1])

    def run(
        self, weights: np.ndarray, logits: np.ndarray, used: np.ndarray, *, learn: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """From weights ``[R, K, F]`` and their logits ``[R, K, N]`` to those of the optimum.

        Classes come before rows: what is done over the classes runs along contiguous rows. With ``learn`` (one subset
        only) the curvature takes in each step.
        """
        shape, bound = weights.shape, self.tolerance * used.sum(axis=1)[:, None, None]
        direction = old = before = fall = weights  # until the first step is taken
        for step in range(STEPS):
            p = _softmax(logits.copy())
            error = p * used[:, None]
            error[self.at_truth] -= used
            gradient = (error.reshape(-1, len(self.x)) @ self.x).reshape(shape) + self.penalty * weights
            if (np.abs(gradient) <= bound).all():
                break
            if learn and step:
                self.curvature.learn((weights - before).ravel(), (gradient - old).ravel())
            steep = self.curvature.times(gradient.reshape(len(used), -1)).reshape(shape)
            if learn or not step:
                direction = -steep
            else:
                beta = _inner(gradient - old, steep) / fall.clip(1e-30)
                direction = beta.clip(0) * direction - steep
            direction = np.where(_inner(gradient, direction) < 0, direction, -gradient)
            fall, old, before = _inner(gradient, steep), gradient, weights
            change = (direction.reshape(-1, shape[2]) @ self.x.T).reshape(logits.shape)
            length = self._search(weights, direction, logits, change, p, used)
            if not length.any():
                break
            weights, logits = weights + length * direction, logits + length * change
        return weights, logits

    def _search(
        self,
        weights: np.ndarray,
        direction: np.ndarray,
        logits: np.ndarray,
        change: np.ndarray,
        p: np.ndarray,
        used: np.ndarray,
    ) -> np.ndarray:
        """How far to go, ``[R, 1, 1]``: two Newton steps on a convex function, never past a known ascent."""
        slope = _inner(self.penalty * weights, direction)[:, 0, 0] - (change[self.at_truth] * used).sum(axis=1)
        bend = _inner(self.penalty * direction, direction)[:, 0, 0]
        length, low, high = np.zeros_like(slope), np.zeros_like(slope), np.full_like(slope, np.inf)
        for i in range(2):
            q = p if i == 0 else _softmax(logits + length[:, None, None] * change)
            weighted = q * change
            mean = weighted.sum(axis=1)
            weighted *= change
            spread = weighted.sum(axis=1) - mean * mean
            first = (mean * used).sum(axis=1) + slope + length * bend
            second = (spread * used).sum(axis=1) + bend
            low, high = np.where(first < 0, length, low), np.where(first > 0, length, high)
            newton = length - first / second.clip(1e-20)
            inside = (newton > low) & (newton < high)
            with np.errstate(invalid="ignore"):  # of an infinite end, where the other choice is taken
                length = np.where(inside, newton, np.where(np.isinf(high), low, (low + high) / 2))
        return length[:, None, None]


def _inner(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray((a * b).sum(axis=(1, 2), keepdims=True))


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Over axis 1, in place."""
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=1, keepdims=True)
    return logits
