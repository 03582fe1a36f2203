"""The time that a sweep still needs falls while its runs go on."""

from __future__ import annotations

import pytest

from ffprobe.sweep.time_left import LiveRun, seconds_left


def test_nothing_is_known_before_a_run_tells() -> None:
    assert seconds_left([], [LiveRun(5)], 3) is None
    assert seconds_left([], [], 0) is None


def test_live_runs_tell_before_one_has_finished() -> None:
    # each run takes 100 s; two slots have 40 + 60 s to go, and four runs wait
    assert seconds_left([], [LiveRun(60, 40), LiveRun(40, 60)], 4) == pytest.approx((40 + 60 + 400) / 2)


def test_finished_runs_count_for_those_that_wait() -> None:
    assert seconds_left([100.0, 200.0], [LiveRun(10, 90)], 2) == pytest.approx(90 + 300)
    assert seconds_left([100.0], [LiveRun(30), LiveRun(250)], 0) == pytest.approx(70)  # the longer one is overdue
    assert seconds_left([100.0], [], 0) == 0.0


def test_the_longest_run_sets_the_end() -> None:
    assert seconds_left([10.0], [LiveRun(1, 1), LiveRun(1, 50)], 0) == 50.0


def test_it_falls_as_time_passes() -> None:
    estimates = [seconds_left([], [LiveRun(t, 100 - t), LiveRun(t, 100 - t)], 2) for t in range(0, 100, 10)]
    assert estimates == sorted(estimates, reverse=True) and len(set(estimates)) == 10  # type: ignore[type-var]
