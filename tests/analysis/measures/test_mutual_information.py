"""Mutual information: compared with scikit-learn, numerical integration, and simulations with a known value."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.metrics import mutual_info_score

from ffprobe.analysis.measures.mutual_information import (
    confusion_information,
    label_information_bound,
    plug_in_information,
)
from ffprobe.analysis.probing.heads import head_log_probabilities


def test_the_plug_in_estimate_equals_scikit_learns() -> None:
    counts = np.random.default_rng(0).integers(0, 9, size=(5, 4, 6))
    expected = [mutual_info_score(None, None, contingency=table) / np.log(2) for table in counts]
    assert plug_in_information(counts) == pytest.approx(np.array(expected))


def test_closed_forms() -> None:
    assert plug_in_information(25 * np.eye(4)) == pytest.approx(2)
    assert plug_in_information(np.ones((4, 4))) == pytest.approx(0)
    found = confusion_information([[30, 10], [10, 30]])
    assert found.plug_in == pytest.approx(1 + 0.75 * np.log2(0.75) + 0.25 * np.log2(0.25))
    assert found.miller_madow == pytest.approx(found.plug_in - 1 / (2 * 80 * np.log(2)))  # (2 + 2 - 4 - 1) / 2 N
    perfect = confusion_information(25 * np.eye(4, dtype=int))
    assert perfect.plug_in == perfect.low == perfect.high == pytest.approx(2, abs=0.05)


def test_correction_and_interval_on_a_known_table() -> None:
    p = np.full((5, 5), 0.02) + 0.1 * np.eye(5)
    truth, random, n = float(plug_in_information(p)), np.random.default_rng(1), 400
    found = [
        confusion_information(random.multinomial(n, p.ravel()).reshape(5, 5), resamples=300, seed=k) for k in range(200)
    ]
    plain, corrected = (np.mean([getattr(one, name) for one in found]) for name in ("plug_in", "miller_madow"))
    assert plain - truth > 0.02
    assert abs(corrected - truth) < 0.2 * (plain - truth)
    covered = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.88 <= covered <= 0.99


def test_estimates_for_independent_predictions_are_near_zero_and_may_be_negative() -> None:
    random = np.random.default_rng(2)
    found = [confusion_information(random.multinomial(300, np.full(16, 1 / 16)).reshape(4, 4)) for _ in range(50)]
    assert np.mean([one.miller_madow for one in found]) == pytest.approx(0, abs=0.005)
    assert min(one.miller_madow for one in found) < 0
    assert all(one.low >= 0 for one in found)


def test_bound_in_closed_form() -> None:
    labels = np.array([0, 1, 1, 0])
    certain = label_information_bound(np.log(np.array([[0.9, 0.1], [0.1, 0.9], [0.1, 0.9], [0.9, 0.1]])), labels)
    assert certain.bits == pytest.approx(1 + np.log2(0.9))
    assert certain.high == certain.low == pytest.approx(certain.bits)
    wrong = label_information_bound(np.log(np.array([[0.2, 0.8]] * 4)), labels)
    assert wrong.bits == pytest.approx(1 + np.log2(0.2 * 0.8) / 2)
    assert wrong.bits < 0
    assert wrong.high - wrong.bits == pytest.approx(np.std([np.log2(0.4), np.log2(1.6)] * 2, ddof=1) / 2)


def gaussians(apart: float, n: int = 6000) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Two classes at ``+-apart`` with unit noise among nine units of noise, and I(h; y) in bits by integration."""
    random = np.random.default_rng(3)
    labels = random.integers(0, 2, n)
    x = random.normal(size=(n, 10))
    x[:, 0] += apart * (2 * labels - 1)

    def integrand(h: float) -> float:
        a, b = norm.pdf(h, apart), norm.pdf(h, -apart)
        return float(0.5 * a * np.log2(2 * a / (a + b)))

    truth = 2 * quad(integrand, -apart - 8, apart + 8)[0]
    return x.astype(np.float32), labels, np.arange(n) % 3 == 0, truth


@pytest.mark.parametrize("hidden", [None, 16])
@pytest.mark.parametrize("apart", [0.5, 1.0, 2.0])
def test_probes_on_gaussians_approach_the_true_value_from_below(apart: float, hidden: int | None) -> None:
    x, labels, held, truth = gaussians(apart)
    [(_, log_q)] = head_log_probabilities([x], labels, held, hidden=hidden, repeats=2)
    for one in log_q:
        found = label_information_bound(one, labels[held])
        error = found.high - found.bits
        assert truth - 0.03 - 3 * error < found.bits < truth + 3 * error


@pytest.mark.parametrize("hidden", [None, 16])
def test_uninformative_features_give_about_zero_bits(hidden: int | None) -> None:
    random = np.random.default_rng(4)
    labels = random.choice(4, size=900, p=[0.55, 0.25, 0.1, 0.1])  # uneven: the frequencies alone are no information
    x, held = random.normal(size=(900, 40)).astype(np.float32), np.arange(900) >= 600
    [(_, log_q)] = head_log_probabilities([x], labels, held, hidden=hidden, repeats=3)
    for one in log_q:
        assert label_information_bound(one, labels[held]).bits == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("hidden", [None, 16])
def test_one_hot_features_give_the_entropy_of_the_label(hidden: int | None) -> None:
    labels = np.arange(2000) % 8
    x, held = np.eye(8, dtype=np.float32)[labels], np.arange(2000) >= 1500
    [(_, log_q)] = head_log_probabilities([x], labels, held, hidden=hidden, repeats=2)
    for one in log_q:
        bound = label_information_bound(one, labels[held])
        assert 3 - 0.02 < bound.bits <= 3
        counts = np.zeros((8, 8), int)
        np.add.at(counts, (labels[held], one.argmax(axis=1)), 1)
        assert confusion_information(counts).plug_in == pytest.approx(3, abs=0.01)
