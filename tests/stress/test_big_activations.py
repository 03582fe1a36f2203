"""Activations far larger than usual stay within memory: a short version, and the real size for ``make stress``."""

from __future__ import annotations

import pytest
from stress.big_activations import ANALYSES, main

LIMIT = 1.5e9
"""Bytes that a process may hold at its peak with 60,000 x 2,048 activations a layer, libraries included."""


@pytest.mark.stress
def test_memory_is_little_more_than_that_of_what_is_fitted_together() -> None:
    rows, units = 12_000, 1024
    both = 2 * 4 * rows * units  # layers this small are fitted together
    for name, found in main(rows, units).items():
        assert found["rows"] == 3, name
        # scikit-learn, scipy and blocks at work take some 250 MB
        assert found["peak_bytes"] - found["libraries_bytes"] < both + 280e6, name


@pytest.mark.stress
def test_sixty_thousand_images_stay_below_one_and_a_half_gigabytes() -> None:
    found = main(60_000, 2048)
    print(found)
    assert set(found) == set(ANALYSES)
    assert {name: one["peak_bytes"] for name, one in found.items() if one["peak_bytes"] >= LIMIT} == {}
