"""Paired differences of accuracy on the same images, and their significance."""

from __future__ import annotations

import math
from typing import Any

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


def direction(gain: float, error: float, *, flat: float = 1.0) -> int | None:
    """Return the sign of a gain if it is significant: the rule that decides claims about gains.

    Args:
        gain: the gain in percentage points.
        error: its standard error.
        flat: a gain counts as 0 if it is confidently smaller than this number of points.

    Returns:
        1 or -1 if the gain is more than two standard errors from 0; 0 if ``gain`` with two standard errors on either
        side is within ``flat``; None if neither holds (inconclusive).
    """
    if not (math.isfinite(gain) and math.isfinite(error)):
        return None
    if abs(gain) > 2 * error:
        return 1 if gain > 0 else -1
    return 0 if abs(gain) + 2 * error < flat else None
