"""Activations far larger than usual stay within memory: a short version, and the real size for ``make stress``."""

from __future__ import annotations

import pytest
from stress.big_activations import ANALYSES, main

LIMIT = 1.5e9
"""Maximum peak memory in bytes of a process with 60,000 x 2,048 activations per layer, including libraries."""


@pytest.mark.stress
def test_peak_memory_is_little_more_than_that_of_the_layers_fitted_together() -> None:
    rows, units = 12_000, 1024
    both = 2 * 4 * rows * units  # layers this small are fitted together
    for name, results in main(rows, units).items():
        assert results["rows"] == 3, name
        # blocks at work and the libraries that are imported later take some 200 MB
        assert results["peak_bytes"] - results["libraries_bytes"] < both + 240e6, name


@pytest.mark.stress
def test_sixty_thousand_images_stay_below_one_and_a_half_gigabytes() -> None:
    results = main(60_000, 2048)
    print(results)
    assert set(results) == set(ANALYSES)
    assert {name: result["peak_bytes"] for name, result in results.items() if result["peak_bytes"] >= LIMIT} == {}
