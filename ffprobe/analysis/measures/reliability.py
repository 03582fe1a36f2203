"""Calibration of scores as probabilities: how well confidence matches accuracy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

BINS = 15
"""Number of confidence bins, as in Guo et al. 2017 (arXiv:1706.04599)."""
LOG_RANGE = 12.0
"""Search range of the log temperature, on either side of the log of the largest spread of a sample's scores."""
DRAWS = 200
"""Number of simulated sets of outcomes for the floor."""


@dataclass(frozen=True)
class Bins:
    """Predictions binned by confidence, without empty bins.

    Attributes:
        count: number of predictions in each bin, int ``[bins]``.
        confidence: their mean confidence, between 0 and 1.
        accuracy: fraction of them that is correct.
    """

    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    def error(self) -> float:
        """Return the expected calibration error: the mean of |accuracy - confidence|, weighted by count."""
        return float((self.count * np.abs(self.accuracy - self.confidence)).sum() / self.count.sum())


@dataclass(frozen=True)
class ProbabilityQuality:
    """Quality measures of probabilities.

    Attributes:
        accuracy: fraction of samples whose label has the largest score.
        nll: mean negative log-likelihood of the true label, in nats.
        brier: mean squared distance of the probabilities from the one-hot label, summed over labels (0 to 2).
        ece: expected calibration error over 15 bins of equal width.
        ece_mass: the same over bins with equal numbers of samples; samples of equal confidence share a bin.
        floor: the expected ``ece`` of perfectly calibrated predictions with these confidences, by chance alone.
        bins: the bins of equal width.
    """

    accuracy: float
    nll: float
    brier: float
    ece: float
    ece_mass: float
    floor: float
    bins: Bins


def reliability(confidence: Any, right: Any, *, equal_mass: bool = False, bins: int = BINS) -> Bins:
    """Bin predictions by confidence.

    Args:
        confidence: confidence of each prediction, between 0 and 1, ``[samples]``.
        right: whether each prediction is correct, bool ``[samples]``.
        equal_mass: whether bins are between quantiles of the confidence instead of of equal width.
        bins: maximum number of bins. A bin of equal width includes its upper end.
    """
    confidence, right = np.asarray(confidence, float), np.asarray(right, float)
    if equal_mass:
        inner = np.quantile(confidence, np.arange(1, bins) / bins)
        index = np.searchsorted(inner, confidence, side="right")  # the many with a confidence of 1 get a separate bin
    else:
        index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    filled = count > 0
    sums = [np.bincount(index, weights=values, minlength=bins)[filled] for values in (confidence, right)]
    return Bins(count[filled], sums[0] / count[filled], sums[1] / count[filled])


def probability_quality(scores: Any, truth: Any, temperature: float = 1.0, *, seed: int = 0) -> ProbabilityQuality:
    """Measure the quality of the softmax of scores as probabilities over labels.

    Args:
        scores: float ``[samples, labels]``, finite.
        truth: the true label of each sample, int ``[samples]``.
        temperature: divisor of the scores.
        seed: random seed of the simulation for the floor.
    """
    import torch
    from scipy.special import log_softmax

    from ffprobe.prediction.predicted_labels import predicted_labels

    scores, truth = np.asarray(scores, float), np.asarray(truth)
    log_p = log_softmax(scores / temperature, axis=1)
    p, samples = np.exp(log_p), np.arange(len(truth))
    confidence = p[samples, scores.argmax(axis=1)]
    right = predicted_labels(torch.from_numpy(scores)).numpy() == truth  # a tie is wrong, as in every accuracy
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
    """Mean calibration error if the probability that each prediction is correct equals its confidence."""
    random = np.random.default_rng(seed)
    drawn = (reliability(confidence, random.random(len(confidence)) < confidence) for _ in range(DRAWS))
    return float(np.mean([bins.error() for bins in drawn]))


def fit_temperature(scores: Any, truth: Any) -> tuple[float, str]:
    """Fit the temperature that maximizes the likelihood of the true labels (Guo et al. 2017, Section 4.2).

    Args:
        scores: float ``[samples, labels]``, finite.
        truth: int ``[samples]``.

    Returns:
        The temperature, in the unit of the scores, and an empty string; or NaN and the reason: the likelihood, which is
        concave in 1 / temperature, then has no maximum above 0 or below infinity.
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

    bounds = (math.log(spread) - LOG_RANGE, math.log(spread) + LOG_RANGE)
    result = minimize_scalar(nll, bounds=bounds, method="bounded", options={"xatol": 1e-7})
    return math.exp(float(result.x)), ""
