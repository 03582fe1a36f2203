"""How much of a layer's learning signal a cumulative loss takes away: free riding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

STARVED = 0.01
"""At most this share of the signal is left to a starved pair."""

LARGEST = 700.0
"""log R beyond this would overflow; only the median ever needs R itself."""


@dataclass(frozen=True)
class Attenuation:
    """What is left of a layer's signal, over pairs of one image with its true and with a wrong label.

    Attributes:
        free_riding: F = E[1 - min(1, R)], 0 where nothing is taken away, 1 where everything is.
        median: of R.
        starved: share of pairs with R <= 0.01.
        coverage: share of pairs for which the layer's own margin and the sum before it are both at least 0, so that R
            is at most 1 by necessity.
    """

    free_riding: float
    median: float
    starved: float
    coverage: float


def log_attenuation(margin: Any, before: Any, beta: float, gamma: float) -> np.ndarray:
    """Logarithm of each pair's R = (1 + exp(beta m)) / (1 + exp(beta (m + gamma P))).

    R is the derivative of softplus(-beta (m + gamma P)) by m over that of softplus(-beta m): how much of the signal
    that a layer would get by itself is left once earlier layers' margins, P in sum, are added to its own, m
    (arXiv:2605.06240). Computed from softplus in log space, so that margins of any size are exact; R itself may
    overflow where P is very negative.

    Args:
        margin: m, in units of goodness, any shape.
        before: P, of the same shape.
        beta: slope of the loss, positive.
        gamma: weight of the earlier layers, at least 0.

    Returns:
        float64, of the same shape.
    """
    m, p = beta * np.asarray(margin, float), beta * gamma * np.asarray(before, float)
    return np.logaddexp(0, m) - np.logaddexp(0, m + p)


def attenuation(margins: Any, beta: float, gamma: float) -> list[Attenuation]:
    """Free riding of each layer.

    Args:
        margins: goodness with the true label minus that with a wrong one, float ``[layers, pairs]``, finite.
        beta: slope of the loss.
        gamma: weight of the earlier layers.

    Returns:
        One for each layer; the first has nothing before it, so R is 1.

    Raises:
        ValueError: a margin is not finite, or there are no pairs.
    """
    margins = np.asarray(margins, float)
    if not margins.size or not np.isfinite(margins).all():
        raise ValueError("Free riding needs finite margins of one pair or more.")
    found, before = [], np.zeros(margins.shape[1])
    for margin in margins:
        log_r = log_attenuation(margin, before, beta, gamma)
        found.append(
            Attenuation(
                free_riding=float((0 - np.expm1(np.minimum(log_r, 0))).mean()),
                median=float(np.median(np.exp(np.minimum(log_r, LARGEST)))),
                starved=float((log_r <= np.log(STARVED)).mean()),
                coverage=float(((margin >= 0) & (before >= 0)).mean()),
            )
        )
        before = before + margin
    return found
