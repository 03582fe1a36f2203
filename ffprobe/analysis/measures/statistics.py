"""Means over seeds, differences between runs, and what may be said of them; undefined numbers are NaN and say why."""

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
"""Values closer than this share of the largest are the same: run files keep float32, which has errors of 1e-7."""
WILCOXON_FROM = 6
"""Fewer pairs cannot reach p < 0.05 in Wilcoxon's two-sided test, whatever their differences."""


@dataclass(frozen=True)
class Estimate:
    """A mean and how far it is to be trusted.

    Attributes:
        n: how many values.
        mean: of them.
        sd: their standard deviation with ``n - 1``; NaN for one value.
        low: lower end of the confidence interval of the mean; NaN where there is none.
        high: its upper end.
        p: two-sided p value of "the mean is 0"; NaN where nothing was tested.
        rank_p: the same by Wilcoxon's signed ranks, from ``WILCOXON_FROM`` values that are not 0 on; NaN otherwise.
        why: why an interval or a p value is missing; empty when none is.
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
    """Mean, standard deviation and Student's t interval of independent values, one for each seed.

    Values that are all the same have a standard deviation of 0 and an interval of length 0, which is what was measured
    and not what should be believed; ``why`` says so.

    Args:
        values: ``[n]``, in any unit.
        confidence: of the interval, between 0 and 1.

    Raises:
        ValueError: a value is not finite, there is none, or ``confidence`` is out of range.
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
    """How much ``second`` exceeds ``first``, pair by pair: t interval, paired t test, Wilcoxon's signed-rank test.

    Pairs that all differ by the same amount cannot be tested (their spread is 0); p is NaN then, also where that amount
    is 0. Wilcoxon's test leaves out pairs without a difference.

    Args:
        first: ``[n]``, one value for each seed.
        second: ``[n]``, of the same seeds in the same order.
        confidence: of the interval.

    Raises:
        ValueError: the lengths differ, a value is not finite, or there is none.
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
    unequal = d[d != 0]  # the test has no place for pairs without a difference
    rank_p = float(stats.wilcoxon(unequal).pvalue) if len(unequal) >= WILCOXON_FROM else NAN
    return Estimate(n, interval.mean, interval.sd, interval.low, interval.high, p, rank_p)


def welch_difference(first: Estimate, second: Estimate, confidence: float = 0.95) -> Estimate:
    """How much ``second`` exceeds ``first`` where nothing pairs the values, by Welch's t from means and spreads alone.

    This is how a published ``mean ± sd (n)`` is held against runs of one's own.

    Args:
        first: ``n``, ``mean`` and ``sd`` are read.
        second: the same.
        confidence: of the interval.

    Returns:
        ``n`` is the number of values on both sides, ``sd`` the standard error of the difference times ``sqrt(n)``.
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
    """Holm's correction: p values of which any may be believed while a false one is believed at most as often as said.

    Args:
        p_values: ``[m]``; NaN (nothing tested) stays NaN and does not count.

    Returns:
        The corrected values in the same order, never above 1.

    Raises:
        ValueError: a value is outside 0 to 1.
    """
    if any(not 0 <= p <= 1 for p in p_values if p == p):
        raise ValueError(f"p values lie between 0 and 1, not {list(p_values)}.")
    order = sorted((p, i) for i, p in enumerate(p_values) if p == p)
    corrected, largest = [NAN] * len(p_values), 0.0
    for rank, (p, i) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        corrected[i] = largest
    return corrected


def paired_bootstrap(
    first: ArrayLike, second: ArrayLike, *, resamples: int = 10_000, confidence: float = 0.95, seed: int = 0
) -> Estimate:
    """How much more often ``second`` is right than ``first`` on the same images: percentile bootstrap over images.

    It speaks of the images only, not of what another seed would give. ``p`` is the exact McNemar test: of the images on
    which just one of the two is right, a fair coin would favour one side this much.

    Args:
        first: bool ``[images]``, whether the first run names the class of each image.
        second: bool ``[images]``, the second run on the same images in the same order.
        resamples: how many times the images are drawn anew, with replacement.
        confidence: of the interval.
        seed: of the draws.

    Returns:
        Differences of accuracy, as fractions; ``sd`` is that of one image's difference.

    Raises:
        ValueError: the lengths differ, there is no image, or a value is neither 0 nor 1.
    """
    import numpy as np
    from scipy import stats

    a, b = _finite(first), _finite(second)
    if len(a) != len(b):
        raise ValueError(f"{len(a)} images cannot be paired with {len(b)}.")
    if not (np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all()):
        raise ValueError("The bootstrap takes right (1) or wrong (0) for each image.")
    _check(confidence)
    d, n = b - a, len(a)
    gained, lost = int((d > 0).sum()), int((d < 0).sum())
    mean = (gained - lost) / n
    if n == 1 or _same(d, d):
        same = "one image has no spread" if n == 1 else "the two are right on the same images"
        why = same if not mean or n == 1 else "the two never agree"
        return Estimate(n, mean, NAN if n == 1 else 0.0, why=why)
    # a resample of images is a multinomial draw of how many were gained, lost and neither
    counts = np.random.default_rng(seed).multinomial(n, [gained / n, lost / n, (n - gained - lost) / n], resamples)
    low, high = np.quantile((counts[:, 0] - counts[:, 1]) / n, [(1 - confidence) / 2, (1 + confidence) / 2])
    p = float(stats.binomtest(gained, gained + lost).pvalue)
    return Estimate(n, mean, float(d.std(ddof=1)), float(low), float(high), p)


def _finite(values: ArrayLike) -> np.ndarray:
    import numpy as np

    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or not len(x) or not np.isfinite(x).all():
        raise ValueError(f"Statistics need a row of finite numbers, not {np.array2string(x, threshold=8)}.")
    return x


def _same(x: np.ndarray, *made_from: np.ndarray) -> bool:
    """Whether all values are the same but for the rounding of what they were made from.

    Without this a difference of one image in every seed would be a spread of 1e-6 and a p value of next to nothing.
    """
    scale = max(float(abs(source).max()) for source in made_from)
    return float(x.max() - x.min()) <= ROUNDING * scale


def _check(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"A confidence lies between 0 and 1, not {confidence}.")
