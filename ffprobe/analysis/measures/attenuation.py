"""Free riding: how much of a layer's learning signal a cumulative loss removes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

STARVED = 0.01
"""Maximum fraction of the signal that remains for a starved pair."""

LARGEST = 700.0
"""Maximum log R before R overflows; only the median needs R itself."""


@dataclass(frozen=True)
class Attenuation:
    """The remaining learning signal of a layer, over pairs of one image with its true and with a wrong label.

    Attributes:
        free_riding: F = E[1 - min(1, R)], 0 if nothing is removed, 1 if everything is.
        median: median of R.
        starved: fraction of pairs with R <= 0.01.
        coverage: fraction of pairs for which the margin of the layer and the sum of the earlier margins are both at
            least 0, so that R is necessarily at most 1.
    """

    free_riding: float
    median: float
    starved: float
    coverage: float


def log_attenuation(margin: Any, before: Any, beta: float, gamma: float) -> np.ndarray:
    """Compute the logarithm of R = (1 + exp(beta m)) / (1 + exp(beta (m + gamma P))) for each pair.

    R is the derivative of softplus(-beta (m + gamma P)) by m divided by that of softplus(-beta m): the fraction of the
    signal of the layer alone that remains when the sum P of the earlier layers' margins is added to its own margin m
    (arXiv:2605.06240). It is computed from softplus in log space, so that margins of any size are exact; R itself may
    overflow if P is very negative.

    Args:
        margin: m, in units of goodness, of any shape.
        before: P, of the same shape.
        beta: slope of the loss, positive.
        gamma: weight of the earlier layers, at least 0.

    Returns:
        Float64, of the same shape.
    """
    m, p = beta * np.asarray(margin, float), beta * gamma * np.asarray(before, float)
    return np.logaddexp(0, m) - np.logaddexp(0, m + p)


def attenuation(margins: Any, beta: float, gamma: float) -> list[Attenuation]:
    """Compute the free riding of each layer.

    Args:
        margins: goodness with the true label minus goodness with a wrong label, float ``[layers, pairs]``, finite.
        beta: slope of the loss.
        gamma: weight of the earlier layers.

    Returns:
        One result for each layer; R of the first layer is 1, as there are no earlier layers.

    Raises:
        ValueError: a margin is not finite, or there are no pairs.
    """
    margins = np.asarray(margins, float)
    if not margins.size or not np.isfinite(margins).all():
        raise ValueError("Free riding needs finite margins of at least one pair.")
    layers, before = [], np.zeros(margins.shape[1])
    for margin in margins:
        log_r = log_attenuation(margin, before, beta, gamma)
        layers.append(
            Attenuation(
                free_riding=float((0 - np.expm1(np.minimum(log_r, 0))).mean()),
                median=float(np.median(np.exp(np.minimum(log_r, LARGEST)))),
                starved=float((log_r <= np.log(STARVED)).mean()),
                coverage=float(((margin >= 0) & (before >= 0)).mean()),
            )
        )
        before = before + margin
    return layers
