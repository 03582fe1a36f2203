"""The short version of the kill test, and the long one for ``make stress``."""

from __future__ import annotations

import pytest
from stress.kill_anywhere import main


@pytest.mark.slow
def test_a_few_kills_lose_nothing() -> None:
    count = main(kills=6, seed=3, workers=1)
    assert count["kills"] == 6
    assert count["around the first commit"] and count["around a commit"]
    assert count["partials opened, repaired and equal"] + count["finished, equal to the undisturbed run"] >= 2


@pytest.mark.stress
def test_two_hundred_kills_lose_nothing() -> None:
    count = main(kills=200, seed=0, workers=2)
    print(dict(count))
    assert count["kills"] >= 200
    assert count["committed epochs compared"] > 200
