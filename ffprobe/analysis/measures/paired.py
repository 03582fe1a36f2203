"""Paired differences of accuracy on the same images, and their significance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


def accuracy_gain(before: Any, after: Any) -> tuple[float, float]:
    """Compute the difference in accuracy of two predictions for the same images.

    Args:
        before: bool ``[images]``, whether the first prediction is correct; or one number that is subtracted from all.
        after: bool ``[images]``, whether the second prediction is correct.

    Returns:
        The difference after - before and its standard error, in percentage points. The error is that of the paired
        difference, so images that both predictions classify correctly or both incorrectly do not contribute. Both are
        NaN without images; the error also with a single image.
    """
    difference = 100.0 * (np.asarray(after, float) - np.asarray(before, float))
    count = len(difference)
    if count < 2:
        return (float(difference.mean()) if count else math.nan), math.nan
    return float(difference.mean()), float(difference.std(ddof=1)) / math.sqrt(count)


ALPHA = 0.05


class GainTest(NamedTuple):
    """A paired gain in accuracy and its test.

    Attributes:
        gain: in percentage points.
        error: its standard error; over images, with one image more of which half is gained and half is lost, so that
            equal predictions for few images have an error.
        p: two-sided p value of "the gain is 0"; NaN if nothing was tested.
        freedom: degrees of freedom of the error; infinite over images.
    """

    gain: float
    error: float
    p: float
    freedom: float = math.inf

    def decide(self, flat: float = 1.0) -> tuple[int | None, float]:
        """Return the sign of the gain and the p value of the test that decides it.

        Args:
            flat: a gain counts as 0 if it is significantly smaller than this number of points on either side (two
                one-sided t tests).

        Returns:
            (1 or -1, p) if the gain differs significantly from 0; (0, the larger p of both one-sided tests) if it is
            significantly within ``flat``; (None, p) otherwise: inconclusive. Both tests at 5 %.
        """
        from scipy import stats

        if not (math.isfinite(self.gain) and self.p == self.p):
            return None, math.nan
        if self.p < ALPHA and self.gain:
            return (1 if self.gain > 0 else -1), self.p
        if self.error > 0 and abs(self.gain) < flat:
            t = (flat - abs(self.gain)) / self.error
            equal = float(stats.norm.sf(t) if math.isinf(self.freedom) else stats.t.sf(t, self.freedom))
            if equal < ALPHA:
                return 0, equal
        return None, self.p


def gain_test(before: Any, after: Any) -> GainTest:
    """Test the gain of one prediction over another on the same images: McNemar's exact test.

    The test is the binomial test of the numbers of images gained and lost, so it needs no minimum number of images: 4
    gained and 0 lost have p = 0.125. For values other than 0 and 1 it is the sign test.

    Args:
        before: ``[images]``, whether the first prediction is correct.
        after: the same of the second prediction.
    """
    from scipy import stats

    difference = np.asarray(after, float) - np.asarray(before, float)
    n = len(difference)
    if not n or not np.isfinite(difference).all():
        return GainTest(math.nan, math.nan, math.nan)
    gained, lost = int((difference > 0).sum()), int((difference < 0).sum())
    mean = float(difference.mean())
    p = float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    if mean * (gained - lost) < 0:
        p = 1.0  # more images gained than lost, but by less in total: no direction
    variance = (float(np.square(difference).sum()) + 1) / (n + 1) - (difference.sum() / (n + 1)) ** 2
    return GainTest(100 * mean, 100 * math.sqrt(variance / (n + 1)), p)


GAIN_CRITERION = (
    "In the claims, a gain is tested by McNemar's exact test over the images of one run, or by Student's t test over"
    " seeds if several runs differ only in the seed; p values are Holm-Bonferroni corrected over all claims, and a"
    " claim with p of 0.05 or more is inconclusive."
)
"""The note below claims about gains."""


def normal_p(difference: float, error: float) -> float:
    """Return the two-sided p value of "the difference is 0" from a standard error over many images (z test)."""
    from scipy import stats

    if not (math.isfinite(difference) and error > 0):
        return math.nan
    return float(2 * stats.norm.sf(abs(difference) / error))


def falling_steps(steps: Sequence[GainTest]) -> tuple[list[int], float]:
    """Find the layers that are significantly below the layer before, Holm-Bonferroni corrected over all steps.

    Args:
        steps: the gain of layer 2 over layer 1, of layer 3 over layer 2, and so on.

    Returns:
        The numbers of those layers, from 1, and the smallest corrected p value among them (NaN if there is none).
    """
    from ffprobe.analysis.measures.statistics import holm

    p_values = holm([step.p for step in steps])
    falling = {i: p for i, (step, p) in enumerate(zip(steps, p_values, strict=True), 2) if step.gain < 0 and p < ALPHA}
    return list(falling), min(falling.values(), default=math.nan)


def gain_over_seeds(gains: Sequence[float]) -> GainTest:
    """Test a gain that was measured once for each seed: Student's t test.

    Args:
        gains: in percentage points, one for each seed. Equal gains have no spread and are not tested.
    """
    from ffprobe.analysis.measures.statistics import paired_difference

    if not len(gains) or not np.isfinite(gains).all():
        return GainTest(math.nan, math.nan, math.nan)
    estimate = paired_difference([0.0] * len(gains), gains)
    return GainTest(estimate.mean, estimate.sd / math.sqrt(estimate.n), estimate.p, estimate.n - 1)
