"""Means over seeds, differences between runs, and their significance; undefined numbers are NaN with a reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

NAN = math.nan
ROUNDING = 1e-6
"""Relative difference below which values count as equal: run files store float32, with errors of 1e-7."""
WILCOXON_FROM = 6
"""Minimum number of pairs that can reach p < 0.05 in Wilcoxon's two-sided test."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its confidence interval and p values.

    Attributes:
        n: number of values.
        mean: mean of the values.
        sd: standard deviation of the values, with ``n - 1``; NaN for one value.
        low: lower end of the confidence interval of the mean; NaN without an interval.
        high: upper end of that interval.
        p: two-sided p value of "the mean is 0"; NaN if nothing was tested.
        rank_p: the same by Wilcoxon's signed-rank test, for at least ``WILCOXON_FROM`` non-zero values; NaN otherwise.
        why: why an interval or a p value is missing; empty if none is.
    """

    n: int
    mean: float
    sd: float = NAN
    low: float = NAN
    high: float = NAN
    p: float = NAN
    rank_p: float = NAN
    why: str = ""


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Compute the mean, standard deviation and Student's t interval of independent values, one for each seed.

    Equal values have a standard deviation of 0 and an interval of length 0, which understates the uncertainty; ``why``
    reports this case.

    Args:
        values: ``[n]``, in any unit.
        confidence: confidence level of the interval, between 0 and 1.

    Raises:
        ValueError: a value is not finite, there are no values, or ``confidence`` is out of range.
    """
    from scipy import stats

    x = _finite(values)
    _check(confidence)
    n, mean = len(x), float(x.mean())
    if n == 1:
        return Estimate(1, mean, why="one value has no spread")
    if _same(x, x):
        return Estimate(n, float(x[0]), 0.0, float(x[0]), float(x[0]), why="all values are the same")
    sd = float(x.std(ddof=1))
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * sd / math.sqrt(n)
    return Estimate(n, mean, sd, mean - half, mean + half)


def paired_difference(first: ArrayLike, second: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Compute the paired difference ``second - first``: t interval, paired t test, Wilcoxon's signed-rank test.

    Pairs that all differ by the same amount cannot be tested (their spread is 0); p is NaN then, also if that amount is
    0. Wilcoxon's test omits pairs without a difference.

    Args:
        first: ``[n]``, one value for each seed.
        second: ``[n]``, one value for each of the same seeds, in the same order.
        confidence: confidence level of the interval.

    Raises:
        ValueError: the lengths differ, a value is not finite, or there are no values.
    """
    from scipy import stats

    a, b = _finite(first), _finite(second)
    if len(a) != len(b):
        raise ValueError(f"{len(a)} values cannot be paired with {len(b)}.")
    d, n = b - a, len(a)
    if n == 1:
        return Estimate(1, float(d[0]), why="one pair has no spread")
    if _same(d, a, b):
        same = float(d[0])
        return Estimate(n, same, 0.0, same, same, why="all pairs differ by the same amount")
    interval = mean_interval(d, confidence)
    t = interval.mean / (interval.sd / math.sqrt(n))
    p = float(2 * stats.t.sf(abs(t), n - 1))
    unequal = d[d != 0]  # the test is not defined for pairs without a difference
    rank_p = float(stats.wilcoxon(unequal).pvalue) if len(unequal) >= WILCOXON_FROM else NAN
    return Estimate(n, interval.mean, interval.sd, interval.low, interval.high, p, rank_p)


def welch_difference(first: Estimate, second: Estimate, confidence: float = 0.95) -> Estimate:
    """Compute the unpaired difference ``second - first`` by Welch's t test, from means and standard deviations alone.

    This compares a published ``mean ± sd (n)`` with your own runs.

    Args:
        first: an estimate; its ``n``, ``mean`` and ``sd`` are used.
        second: the other estimate.
        confidence: confidence level of the interval.

    Returns:
        The difference; ``n`` is the total number of values, ``sd`` the standard error of the difference times
        ``sqrt(n)``.
    """
    from scipy import stats

    _check(confidence)
    n, difference = first.n + second.n, second.mean - first.mean
    if min(first.n, second.n) < 2:
        return Estimate(n, difference, why="one value has no spread")
    a, b = first.sd**2 / first.n, second.sd**2 / second.n
    if not a + b > 0:
        return Estimate(n, difference, why="neither side has a spread")
    error = math.sqrt(a + b)
    freedom = (a + b) ** 2 / (a**2 / (first.n - 1) + b**2 / (second.n - 1))
    half = float(stats.t.ppf((1 + confidence) / 2, freedom)) * error
    p = float(2 * stats.t.sf(abs(difference) / error, freedom))
    return Estimate(n, difference, error * math.sqrt(n), difference - half, difference + half, p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm-Bonferroni correction of p values; controls the family-wise error rate.

    Args:
        p_values: ``[m]``; NaN (nothing tested) stays NaN and does not count as a test.

    Returns:
        The corrected p values in the same order, at most 1.

    Raises:
        ValueError: a value is outside 0 to 1.
    """
    if any(not 0 <= p <= 1 for p in p_values if p == p):
        raise ValueError(f"p values must be between 0 and 1, not {list(p_values)}.")
    order = sorted((p, i) for i, p in enumerate(p_values) if p == p)
    corrected, largest = [NAN] * len(p_values), 0.0
    for rank, (p, i) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        corrected[i] = largest
    return corrected


def paired_bootstrap(
    first: ArrayLike, second: ArrayLike, *, resamples: int = 10_000, confidence: float = 0.95, seed: int = 0
) -> Estimate:
    """Compute the difference in accuracy ``second - first`` on the same images, by percentile bootstrap over images.

    It covers the uncertainty from the images only, not from the seed. ``p`` is that of the exact McNemar test: the
    probability that a fair coin splits the images for which exactly one of the two is correct at least this unevenly.

    Args:
        first: bool ``[images]``, whether the first run classifies each image correctly.
        second: bool ``[images]``, the same for the second run, on the same images in the same order.
        resamples: number of bootstrap resamples, drawn with replacement.
        confidence: confidence level of the interval.
        seed: random seed of the resamples.

    Returns:
        The difference in accuracy as a fraction; ``sd`` is the standard deviation of the difference of one image.

    Raises:
        ValueError: the lengths differ, there are no images, or a value is neither 0 nor 1.
    """
    import numpy as np
    from scipy import stats

    a, b = _finite(first), _finite(second)
    if len(a) != len(b):
        raise ValueError(f"{len(a)} images cannot be paired with {len(b)}.")
    if not (np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all()):
        raise ValueError("The bootstrap needs 1 (right) or 0 (wrong) for each image.")
    _check(confidence)
    d, n = b - a, len(a)
    gained, lost = int((d > 0).sum()), int((d < 0).sum())
    mean = (gained - lost) / n
    if n == 1 or _same(d, d):
        same = "one image has no spread" if n == 1 else "the two are right on the same images"
        why = same if not mean or n == 1 else "the two never agree"
        return Estimate(n, mean, NAN if n == 1 else 0.0, why=why)
    # a resample of images is a multinomial sample of the numbers gained, lost and neither
    counts = np.random.default_rng(seed).multinomial(n, [gained / n, lost / n, (n - gained - lost) / n], resamples)
    low, high = np.quantile((counts[:, 0] - counts[:, 1]) / n, [(1 - confidence) / 2, (1 + confidence) / 2])
    p = float(stats.binomtest(gained, gained + lost).pvalue)
    return Estimate(n, mean, float(d.std(ddof=1)), float(low), float(high), p)


def mean_bootstrap(values: ArrayLike, *, resamples: int = 2000, confidence: float = 0.95, seed: int = 0) -> Estimate:
    """Compute the mean of one number for each sample, by percentile bootstrap over samples.

    Unlike a t interval, it needs no normal distribution: losses have a long tail. It covers the uncertainty from the
    samples only, not from the seed of the run, and takes the samples as independent.

    Args:
        values: ``[samples]``, in any unit.
        resamples: number of bootstrap resamples, drawn with replacement.
        confidence: confidence level of the interval.
        seed: random seed of the resamples.

    Raises:
        ValueError: a value is not finite, there are no values, or ``confidence`` is out of range.
    """
    import numpy as np

    x = _finite(values)
    _check(confidence)
    n, mean = len(x), float(x.mean())
    if n == 1:
        return Estimate(1, mean, why="one value has no spread")
    if _same(x, x):
        return Estimate(n, mean, 0.0, mean, mean, why="all values are the same")
    random, rows = np.random.default_rng(seed), max(1, 1_000_000 // n)  # resamples at a time, to bound the memory
    sizes = [min(rows, resamples - start) for start in range(0, resamples, rows)]
    means = np.concatenate([x[random.integers(n, size=(size, n))].mean(axis=1) for size in sizes])
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(n, mean, float(x.std(ddof=1)), float(low), float(high))


def _finite(values: ArrayLike) -> np.ndarray:
    import numpy as np

    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or not len(x) or not np.isfinite(x).all():
        raise ValueError(f"Statistics need a sequence of finite numbers, not {np.array2string(x, threshold=8)}.")
    return x


def _same(x: np.ndarray, *made_from: np.ndarray) -> bool:
    """Return whether all values are equal up to the rounding of the values that they were computed from.

    Without this check, a difference of one image in every seed would give a spread of 1e-6 and a p value near 0.
    """
    scale = max(float(abs(source).max()) for source in made_from)
    return float(x.max() - x.min()) <= ROUNDING * scale


def _check(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"A confidence level must be between 0 and 1, not {confidence}.")
