"""The short version of the race of two resuming runs, and the long one for ``make stress``."""

from __future__ import annotations

import pytest
from stress.resume_race import races
from warm import start


@pytest.mark.slow
def test_of_two_resuming_runs_one_is_recorded_and_the_other_refused() -> None:
    assert races(trials=5, seed=1, program=start.program()).total() == 5


@pytest.mark.stress
def test_of_many_resuming_runs_none_is_lost() -> None:
    won = races(trials=40)
    print(dict(won))
    assert won.total() == 40
