"""The short version of the fuzz test, and the long one for ``make stress``."""

from __future__ import annotations

import pytest
from stress.fuzz_files import KINDS, main


@pytest.mark.slow
def test_damaged_files_end_in_a_clear_error() -> None:
    count, failures = main(files=120, seed=1)
    assert failures == []
    assert sum(count.values()) == 120
    assert {key.split()[0] for key in count} == set(KINDS)


@pytest.mark.stress
def test_two_thousand_damaged_files_end_in_a_clear_error() -> None:
    count, failures = main(files=2000, seed=0)
    print(dict(count))
    assert failures == []
    assert sum(count.values()) == 2000
