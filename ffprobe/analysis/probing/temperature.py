"""Temperature scaling: log-probabilities calibrated on rows that the head was not fitted on."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

BATCHED = 1_000_000
"""Maximum number of logits, over all temperatures of the grid, that are computed at once: calls dominate for few."""


def calibrated(
    logits: np.ndarray, labels: np.ndarray, new: np.ndarray, frequencies: np.ndarray | None = None
) -> np.ndarray:
    """Compute log-probabilities of new rows with a temperature and a floor from rows that the head was not fitted on.

    ``q = (1 - e) softmax(b logits + (1 - b) log f) + e f``. The inverse temperature ``b`` minimizes the cross-entropy
    of the given rows. With the class frequencies ``f``, ``b = 0`` is a head that knows only these frequencies, where
    plain temperature scaling (Guo and others 2017) ends in equal probabilities. The floor ``e = 1 / (n + 2)`` is the
    probability of an error after n rows without one (Laplace's rule of succession): no finite number of rows justifies
    a probability of 0.

    Args:
        logits: ``[n, K]``, logits of rows that the head was not fitted on.
        labels: ``[n]``, 0 to ``K - 1``.
        new: ``[M, K]``, logits of other rows.
        frequencies: ``[K]``, positive, of the classes among the rows that the head was fitted on; equal by default.

    Returns:
        Float64 ``[M, K]``. Without rows to calibrate on, ``b = 1`` and ``e = 1 / 2``.
    """
    width = new.shape[1]
    f = np.full(width, 1 / width) if frequencies is None else frequencies / frequencies.sum()
    known, prior = np.asarray(logits, float), np.log(f)

    def log_q(z: np.ndarray, log_b: float) -> np.ndarray:
        b, floor = np.exp(log_b), 1 / (len(known) + 2)
        plain = log_softmax(b * z + (1 - b) * prior, axis=1)
        return np.logaddexp(np.log1p(-floor) + plain, np.log(floor) + prior)

    if not len(known):
        return log_q(np.asarray(new, float), 0.0)

    def loss(log_b: float) -> float:
        return -float(log_q(known, log_b)[np.arange(len(labels)), labels].mean())

    grid = np.linspace(-8, 4, 25)  # the loss with a floor may not be convex: grid search first, then refine
    if grid.size * known.size <= BATCHED:
        plain = log_softmax(np.exp(grid)[:, None, None] * known + (1 - np.exp(grid))[:, None, None] * prior, axis=2)
        right, floor = plain[:, np.arange(len(labels)), labels], 1 / (len(known) + 2)
        losses = -np.logaddexp(np.log1p(-floor) + right, np.log(floor) + prior[labels]).mean(axis=1)
    else:
        losses = np.array([loss(b) for b in grid])
    best = grid[int(losses.argmin())]
    result = minimize_scalar(loss, bounds=(best - 0.5, best + 0.5), method="bounded", options={"xatol": 1e-3})
    return log_q(np.asarray(new, float), float(result.x))
