"""Sparklines: the smallest value is the lowest block, the largest the highest."""

from __future__ import annotations

import math

import pytest

from ffprobe.analysis.result.sparkline import sparkline


@pytest.mark.parametrize(
    ("values", "width", "text"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], 8, "▁▂▃▄▅▆▇█"),
        ([0, 0, 7, 7], 2, "▁█"),  # each the mean of two
        ([3.0, 3.0, 3.0], 8, "▁▁▁"),
        ([0.1 + 0.2, 0.3], 8, "▁▁"),  # equal but for rounding
        ([0, math.nan, 7], 8, "▁·█"),
        ([math.nan], 8, "·"),
        ([0, math.inf, 7], 8, "▁·█"),
        ([], 8, ""),
        ([1, 2], 0, ""),
    ],
)
def test_blocks(values: list[float], width: int, text: str) -> None:
    assert sparkline(values, width) == text
