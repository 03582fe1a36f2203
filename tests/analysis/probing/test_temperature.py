"""Temperature scaling: known temperatures, uninformative logits and the floor of probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from ffprobe.analysis.probing.temperature import calibrated


def drawn(logits: np.ndarray, seed: int = 0) -> np.ndarray:
    """Draw a label from the softmax of each row."""
    return (softmax(logits, axis=1).cumsum(axis=1) < np.random.default_rng(seed).random((len(logits), 1))).sum(axis=1)


@pytest.mark.parametrize("factor", [0.2, 1.0, 7.0])
def test_a_known_temperature_is_found(factor: float) -> None:
    logits = np.random.default_rng(1).normal(size=(20_000, 5)) * 2
    found = calibrated(factor * logits, drawn(logits), factor * logits[:100])
    assert np.exp(found) == pytest.approx(softmax(logits[:100], axis=1), abs=0.015)


def test_uninformative_logits_give_the_class_frequencies() -> None:
    random = np.random.default_rng(2)
    labels = random.choice(3, size=20_000, p=[0.7, 0.2, 0.1])
    found = calibrated(9 * random.normal(size=(20_000, 3)), labels, np.eye(3), np.array([7.0, 2.0, 1.0]))
    assert np.exp(found) == pytest.approx(np.tile([0.7, 0.2, 0.1], (3, 1)), abs=0.01)


def test_few_rows_without_an_error_give_no_certainty() -> None:
    labels = np.arange(18) % 3
    found = calibrated(50.0 * np.eye(3)[labels], labels, 50.0 * np.eye(3))
    assert np.exp(found).diagonal() == pytest.approx(1 - 2 / 3 / 20, abs=1e-6)  # e = 1 / (n + 2), shared by 3 classes
    assert np.exp(found).sum(axis=1) == pytest.approx(np.ones(3))


def test_without_rows_to_calibrate_on_it_averages_the_head_and_the_frequencies() -> None:
    found = calibrated(np.zeros((0, 2)), np.zeros(0, int), np.array([[3.0, 0.0]]))
    assert np.exp(found) == pytest.approx(0.5 * np.exp(log_softmax([[3.0, 0.0]], axis=1)) + 0.25)
