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


def test_the_test_over_images_is_mcnemars_exact_test() -> None:
    random = np.random.default_rng(0)
    before, after = random.random(300) < 0.6, random.random(300) < 0.7
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    test = ffprobe.gain_test(before, after)
    assert test.p == pytest.approx(stats.binomtest(min(gained, lost), gained + lost).pvalue)
    assert test.gain == pytest.approx(100 * (gained - lost) / 300)


def test_four_images_against_none_decide_nothing() -> None:
    before = np.arange(100) < 50
    after = np.arange(100) < 54
    assert ffprobe.gain_test(before, after).decide() == (None, pytest.approx(0.125))
    assert ffprobe.gain_test(before, np.arange(100) < 56).decide() == (1, pytest.approx(0.03125))
    assert ffprobe.gain_test(np.arange(100) < 56, before).decide()[0] == -1


def test_equal_predictions_are_equal_only_with_enough_images() -> None:
    def equal(images: int, flat: float) -> int | None:
        return ffprobe.gain_test(np.arange(images) < 9, np.arange(images) < 9).decide(flat)[0]

    assert equal(100, 1.0) is None
    assert equal(1000, 1.0) == equal(1000, 0.5) == 0
    assert equal(1000, 0.1) is None


def test_several_seeds_are_tested_by_students_t() -> None:
    test = ffprobe.gain_over_seeds([1.0, 2.0, 4.0])
    assert test.p == pytest.approx(stats.ttest_1samp([1.0, 2.0, 4.0], 0).pvalue)
    assert test.decide() == (None, test.p)
    assert ffprobe.gain_over_seeds([2.0, 2.1, 2.2]).decide()[0] == 1
    assert ffprobe.gain_over_seeds([0.01, -0.01, 0.0]).decide()[0] == 0
    assert ffprobe.gain_over_seeds([2.0]).decide()[0] is None
    assert ffprobe.gain_over_seeds([2.0, math.nan]).decide()[0] is None


def test_nothing_measured_decides_nothing() -> None:
    assert ffprobe.gain_test([], []).decide()[0] is None
    assert ffprobe.gain_test([True, math.nan], [True, True]).decide()[0] is None


def test_falling_steps_are_corrected_over_all_steps() -> None:
    step = ffprobe.GainTest(-3.0, 1.0, 0.02)
    assert ffprobe.falling_steps([step])[0] == [2]
    assert ffprobe.falling_steps([step, ffprobe.GainTest(1.0, 1.0, 0.3), ffprobe.GainTest(1.0, 1.0, 0.4)])[0] == []
