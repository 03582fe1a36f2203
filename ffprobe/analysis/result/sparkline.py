"""A series of numbers as a row of block characters."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
    """Return a row of block characters, from the smallest value (``▁``) to the largest (``█``).

    Args:
        values: numbers in order; NaN for "not measured".
        width: maximum number of characters. Of a longer series, each character is the mean of an interval.

    Returns:
        At most ``width`` characters; a dot where nothing was measured; the lowest block for equal values.
    """
    parts = min(width, len(values))
    intervals = [values[len(values) * i // parts : len(values) * (i + 1) // parts] for i in range(parts)]
    measured = [[value for value in interval if math.isfinite(value)] for interval in intervals]
    means = [sum(known) / len(known) if known else math.nan for known in measured]
    known = [mean for mean in means if mean == mean]
    low, high = min(known, default=0.0), max(known, default=0.0)
    # the means of equal values differ in the last digit
    span = high - low if high - low > 1e-12 * max(abs(low), abs(high)) else math.inf
    return "".join("·" if mean != mean else BLOCKS[min(7, int(8 * (mean - low) / span))] for mean in means)
