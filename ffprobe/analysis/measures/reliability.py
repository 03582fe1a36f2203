"""Scores as probabilities: how far stated confidence and accuracy go together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

BINS = 15
"""Of confidence, as in Guo et al. 2017 (arXiv:1706.04599)."""
REACH = 12.0
"""The temperature is sought within so many e-foldings on either side of the largest spread of a sample's scores."""
DRAWS = 200
"""Simulated sets of outcomes behind the floor."""


@dataclass(frozen=True)
class Bins:
    """Predictions gathered by confidence; empty bins are left out.

    Attributes:
        count: predictions in each bin, int ``[bins]``.
        confidence: their mean confidence, between 0 and 1.
        accuracy: the share of them that is right.
    """

    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    def error(self) -> float:
        """Expected calibration error: |accuracy - confidence|, weighted by count."""
        return float((self.count * np.abs(self.accuracy - self.confidence)).sum() / self.count.sum())


@dataclass(frozen=True)
class ProbabilityQuality:
    """How good probabilities are.

    Attributes:
        accuracy: share of samples whose label has the largest score.
        nll: mean negative log-likelihood of the true label, in nats.
        brier: mean squared distance of the probabilities from the one-hot label, summed over labels (0 to 2).
        ece: expected calibration error over 15 bins of equal width.
        ece_mass: the same over bins that hold equally many samples; samples of equal confidence stay together.
        floor: the ``ece`` to be expected of perfectly calibrated predictions of these confidences, by chance alone.
        bins: of equal width.
    """

    accuracy: float
    nll: float
    brier: float
    ece: float
    ece_mass: float
    floor: float
    bins: Bins


def reliability(confidence: Any, right: Any, *, equal_mass: bool = False, bins: int = BINS) -> Bins:
    """Gather predictions into bins of confidence.

    Args:
        confidence: of each prediction, between 0 and 1, ``[samples]``.
        right: whether it is right, bool ``[samples]``.
        equal_mass: bins between quantiles of the confidence rather than of equal width.
        bins: how many at most. A bin of equal width includes its upper end.
    """
    confidence, right = np.asarray(confidence, float), np.asarray(right, float)
    if equal_mass:
        inner = np.quantile(confidence, np.arange(1, bins) / bins)
        place = np.searchsorted(inner, confidence, side="right")  # many are as sure as 1: they get a bin of their own
    else:
        place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    held = count > 0
    sums = [np.bincount(place, weights=values, minlength=bins)[held] for values in (confidence, right)]
    return Bins(count[held], sums[0] / count[held], sums[1] / count[held])


def probability_quality(scores: Any, truth: Any, temperature: float = 1.0, *, seed: int = 0) -> ProbabilityQuality:
    """How good the softmax of scores is as a probability over labels.

    Args:
        scores: float ``[samples, labels]``, finite.
        truth: the true label of each sample, int ``[samples]``.
        temperature: the scores are divided by it.
        seed: of the floor's draws.
    """
    from scipy.special import log_softmax

    scores, truth = np.asarray(scores, float), np.asarray(truth)
    log_p = log_softmax(scores / temperature, axis=1)
    p, samples = np.exp(log_p), np.arange(len(truth))
    named = scores.argmax(axis=1)
    confidence, right = p[samples, named], named == truth
    one_hot = np.zeros_like(p)
    one_hot[samples, truth] = 1
    bins = reliability(confidence, right)
    return ProbabilityQuality(
        accuracy=float(right.mean()),
        nll=float(-log_p[samples, truth].mean()),
        brier=float(((p - one_hot) ** 2).sum(axis=1).mean()),
        ece=bins.error(),
        ece_mass=reliability(confidence, right, equal_mass=True).error(),
        floor=_floor(confidence, seed),
        bins=bins,
    )


def _floor(confidence: np.ndarray, seed: int) -> float:
    """Mean error where each prediction is right exactly as often as its confidence says."""
    random = np.random.default_rng(seed)
    drawn = (reliability(confidence, random.random(len(confidence)) < confidence) for _ in range(DRAWS))
    return float(np.mean([bins.error() for bins in drawn]))


def fit_temperature(scores: Any, truth: Any) -> tuple[float, str]:
    """The temperature under which the true labels are most likely (Guo et al. 2017, Section 4.2).

    Args:
        scores: float ``[samples, labels]``, finite.
        truth: int ``[samples]``.

    Returns:
        The temperature, in the scores' unit, and an empty string; or NaN and why there is none: the likelihood, which
        is concave in 1 / temperature, then has no maximum above 0, or none below infinity.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    scores, truth = np.asarray(scores, float), np.asarray(truth)
    samples = np.arange(len(truth))
    true, spread = scores[samples, truth], float((scores.max(axis=1) - scores.min(axis=1)).max(initial=0))
    if not spread > 0:
        return math.nan, "all labels have the same score"
    if (true == scores.max(axis=1)).all():
        return math.nan, "every label is right, so the smaller the temperature the better"
    if (true - scores.mean(axis=1)).mean() <= 0:
        return math.nan, "true labels score no higher than others, so the larger the temperature the better"

    def nll(log_temperature: float) -> float:
        return float(-log_softmax(scores / math.exp(log_temperature), axis=1)[samples, truth].mean())

    bounds = (math.log(spread) - REACH, math.log(spread) + REACH)
    found = minimize_scalar(nll, bounds=bounds, method="bounded", options={"xatol": 1e-7})
    return math.exp(float(found.x)), ""
