"""Calibration of scores, compared with closed forms and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

import ffprobe
from ffprobe.analysis.measures.reliability import reliability


def sample(n: int = 800, labels: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and labels drawn from their softmax."""
    random = np.random.default_rng(seed)
    scores = 2 * random.normal(size=(n, labels))
    chances = softmax(scores, axis=1).cumsum(axis=1)
    return scores, np.minimum((random.random((n, 1)) > chances).sum(axis=1), labels - 1)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_likelihood_and_brier_score_equal_scikit_learns(temperature: float) -> None:
    scores, truth = sample()
    p = softmax(scores / temperature, axis=1)
    quality = ffprobe.probability_quality(scores, truth, temperature)
    assert quality.nll == pytest.approx(log_loss(truth, p))
    assert quality.brier == pytest.approx(((p - np.eye(5)[truth]) ** 2).sum(axis=1).mean())
    assert quality.accuracy == (p.argmax(axis=1) == truth).mean()


def test_brier_of_two_labels_is_twice_scikit_learns() -> None:
    from sklearn.metrics import brier_score_loss

    scores, truth = sample(labels=2)
    quality = ffprobe.probability_quality(scores, truth)
    assert quality.brier == pytest.approx(2 * brier_score_loss(truth, softmax(scores, axis=1)[:, 1]))


@pytest.mark.parametrize(("equal_mass", "strategy"), [(False, "uniform"), (True, "quantile")])
def test_bins_equal_scikit_learns(equal_mass: bool, strategy: str) -> None:
    random = np.random.default_rng(2)
    confidence = random.random(500)
    right = random.random(500) < confidence
    quality = reliability(confidence, right, equal_mass=equal_mass)
    accuracy, mean = calibration_curve(right, confidence, n_bins=15, strategy=strategy)
    assert quality.accuracy == pytest.approx(accuracy)
    assert quality.confidence == pytest.approx(mean)
    assert quality.count.sum() == 500
    assert np.ptp(quality.count) <= 1 or not equal_mass


def test_error_in_closed_form() -> None:
    # ten sure of 0.95 with 8 right, ten of 0.55 with all right: half of 0.15 and of 0.45
    confidence, right = np.repeat([0.95, 0.55], 10), np.arange(20) >= 2
    assert reliability(confidence, right).error() == pytest.approx(0.3)
    assert reliability(np.ones(4), np.ones(4)).error() == 0
    assert reliability(np.ones(4), np.zeros(4)).error() == 1


def test_equal_confidences_share_a_bin_in_any_order() -> None:
    confidence, right = np.repeat([0.6, 1.0], [3, 97]), np.arange(100) % 3 > 0
    forward = reliability(confidence, right, equal_mass=True)
    assert forward.error() == pytest.approx(reliability(confidence[::-1], right[::-1], equal_mass=True).error())
    assert list(forward.count) == [3, 97]


def test_a_bin_includes_its_upper_end() -> None:
    assert list(reliability([1 / 15, 1 / 15 + 1e-9], [True, True]).count) == [1, 1]


def test_the_floor_is_the_error_of_calibrated_predictions() -> None:
    errors, floors = [], []
    for seed in range(20):
        quality = ffprobe.probability_quality(*sample(200, seed=seed))  # calibrated by how they were drawn
        errors.append(quality.ece)
        floors.append(quality.floor)
    assert np.mean(floors) == pytest.approx(np.mean(errors), rel=0.12)
    assert ffprobe.probability_quality(*sample(200), 0.2).ece > 3 * floors[0]


@pytest.mark.parametrize("factor", [0.01, 1.0, 1000.0])
def test_the_temperature_undoes_a_scale(factor: float) -> None:
    scores, truth = sample(4000)
    temperature, why = ffprobe.fit_temperature(factor * scores, truth)
    assert why == ""
    assert temperature == pytest.approx(factor, rel=0.08)
    best = ffprobe.probability_quality(factor * scores, truth, temperature).nll
    for other in (0.99 * temperature, 1.01 * temperature):
        assert best < ffprobe.probability_quality(factor * scores, truth, other).nll


def test_the_temperature_in_closed_form() -> None:
    # two labels one apart, right in 3 of 4: 1 / T = log 3
    scores, truth = np.tile([1.0, 0.0], (4, 1)), np.array([0, 0, 0, 1])
    assert ffprobe.fit_temperature(scores, truth)[0] == pytest.approx(1 / math.log(3), rel=1e-5)


@pytest.mark.parametrize(
    ("scores", "truth", "why"),
    [
        ([[1.0, 0.0], [0.0, 2.0]], [0, 1], "smaller"),
        ([[1.0, 0.0], [0.0, 2.0]], [1, 0], "larger"),
        ([[1.0, 0.0], [1.0, 0.0]], [0, 1], "larger"),
        ([[1.0, 1.0], [2.0, 2.0]], [0, 1], "same score"),
    ],
)
def test_a_missing_temperature_has_a_reason(scores: list[list[float]], truth: list[int], why: str) -> None:
    temperature, reason = ffprobe.fit_temperature(scores, truth)
    assert math.isnan(temperature)
    assert why in reason
