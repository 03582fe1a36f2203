"""Gains paired by image, and their significance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import ffprobe


def test_gain_and_error_equal_those_of_the_paired_t_test() -> None:
    random = np.random.default_rng(0)
    before, after = random.random(500) < 0.6, random.random(500) < 0.7
    gain, error = ffprobe.accuracy_gain(before, after)
    assert gain == pytest.approx(100 * (after.mean() - before.mean()))
    assert gain / error == pytest.approx(stats.ttest_rel(after.astype(float), before.astype(float)).statistic)


def test_images_that_both_classify_correctly_add_no_error() -> None:
    before = np.arange(100) < 90
    assert ffprobe.accuracy_gain(before, before) == (0, 0)
    unpaired = 100 * math.sqrt(2 * 0.9 * 0.1 / 100)
    assert ffprobe.accuracy_gain(before, np.arange(100) < 95)[1] < unpaired


def test_too_few_images_have_no_error() -> None:
    assert all(map(math.isnan, ffprobe.accuracy_gain([], [])))
    gain, error = ffprobe.accuracy_gain([False], [True])
    assert gain == 100
    assert math.isnan(error)


@pytest.mark.parametrize(
    ("gain", "error", "sign"),
    [
        (3, 1, 1),
        (-3, 1, -1),
        (1.9, 1, None),
        (0.5, 0.2, 1),
        (0.3, 0.2, 0),
        (0.3, 0.4, None),
        (0, 0, 0),
        (1, math.nan, None),
    ],
)
def test_a_gain_is_significant_beyond_two_standard_errors(gain: float, error: float, sign: int | None) -> None:
    assert ffprobe.direction(gain, error) == sign


def test_the_caller_chooses_the_flat_range() -> None:
    assert ffprobe.direction(0.3, 0.2, flat=0.5) is None
    assert ffprobe.direction(0.3, 0.2, flat=0.8) == 0
