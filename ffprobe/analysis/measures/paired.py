"""Differences of accuracy on the same images, and what they are worth."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def accuracy_gain(before: Any, after: Any) -> tuple[float, float]:
    """How much more accurate one prediction is than another on the same images.

    Args:
        before: bool ``[images]``, whether the first prediction is right; or a number that is subtracted alike.
        after: bool ``[images]``, the same of the second.

    Returns:
        The difference after - before and its standard error (of the paired difference, so that images which both get
        right or both get wrong do not add to it), in percentage points. NaN without images; the error also with one.
    """
    difference = 100.0 * (np.asarray(after, float) - np.asarray(before, float))
    count = len(difference)
    if count < 2:
        return (float(difference.mean()) if count else math.nan), math.nan
    return float(difference.mean()), float(difference.std(ddof=1)) / math.sqrt(count)


def direction(gain: float, error: float, *, flat: float = 1.0) -> int | None:
    """Whether a gain is one: the rule by which claims about gains are decided.

    Args:
        gain: in percentage points.
        error: its standard error.
        flat: a gain that is smaller than this many points with confidence counts as none.

    Returns:
        1 or -1 where the gain is further than two standard errors from 0, 0 where ``gain`` and two standard errors on
        either side lie within ``flat``, None where neither can be said.
    """
    if not (math.isfinite(gain) and math.isfinite(error)):
        return None
    if abs(gain) > 2 * error:
        return 1 if gain > 0 else -1
    return 0 if abs(gain) + 2 * error < flat else None
