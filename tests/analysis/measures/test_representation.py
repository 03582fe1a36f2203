"""Statistics of a representation: closed forms, numpy and scikit-learn on whole matrices, and undefined cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.neighbors import NearestCentroid

from ffprobe.analysis.measures.representation import Representation, describe_representation
from ffprobe.errors import FileError

RANDOM = np.random.default_rng(0)
LABELS = np.arange(60) % 3
HELD = np.arange(60) >= 42
CENTRES = RANDOM.normal(size=(3, 8))
X = np.maximum(2 * CENTRES[LABELS] + RANDOM.normal(size=(60, 8)) + 50 * (np.arange(8) == 7), 0).astype(np.float32)


def describe(x: object, labels: np.ndarray = LABELS, held: np.ndarray = HELD) -> Representation:
    return describe_representation(np.asarray(x, np.float32), labels, held)


def test_dead_constant_and_active_are_counted() -> None:
    x = np.ones((60, 5))
    x[:, 0] = 0  # dead
    x[:, 1] = 0
    x[7, 1] = 3  # alive for one image
    x[:, 2] = np.arange(60)  # 0 once
    found = describe(x)
    assert (found.dead, found.constant) == (0.2, 0.6)  # two of five are constant and not 0
    assert found.active == pytest.approx((1 + 59 + 120) / 300)


def test_negative_numbers_are_active_and_alive() -> None:
    found = describe(np.full((60, 4), -2.0))
    assert (found.dead, found.active, found.constant) == (0, 1, 1)


@pytest.mark.parametrize(("row", "sparsity"), [([1, 0, 0, 0], 1), ([3, 3, -3, 3], 0), ([1, 1, 0, 0], 2 - 2**0.5)])
def test_hoyer_in_closed_form(row: list[float], sparsity: float) -> None:
    x = np.tile(row, (60, 1)) * np.arange(60)[:, None]  # the first image is all 0 and does not count
    assert describe(x).hoyer == pytest.approx(sparsity, abs=1e-6)


def test_class_entropy_in_closed_form() -> None:
    x = np.zeros((60, 4))
    x[LABELS == 0, 0] = 5  # one class only: 0
    x[:, 1] = 2  # all alike: 1
    x[LABELS != 2, 2] = 1  # two of three: log 2 / log 3; the fourth unit is dead and does not count
    assert describe(x).class_entropy == pytest.approx((0 + 1 + math.log(2) / math.log(3)) / 3)
    uneven = np.where(np.arange(60) < 50, 0, 2)  # a rarer class is not answered to less
    assert describe(np.ones((60, 1)), labels=uneven).class_entropy == pytest.approx(1)


def test_ranks_count_dimensions() -> None:
    signs = np.array([[1 if i >> k & 1 else -1 for k in range(4)] for i in range(16)] * 3)  # four independent ones
    labels, held = np.arange(48) % 3, np.arange(48) > 30
    for scale in (1.0, 1e-3):
        found = describe(scale * signs + 100 * scale, labels, held)
        assert found.effective_rank == pytest.approx(4, rel=1e-4)
        assert found.participation_ratio == pytest.approx(4, rel=1e-4)
    assert describe(signs[:, :1] * np.ones(6), labels, held).effective_rank == pytest.approx(1)
    uneven = describe(signs[:, :2] * np.array([3.0, 1.0]), labels, held)  # shares 0.9 and 0.1
    assert uneven.effective_rank == pytest.approx(math.exp(-0.9 * math.log(0.9) - 0.1 * math.log(0.1)))
    assert uneven.participation_ratio == pytest.approx(1 / (0.81 + 0.01))


def test_ranks_equal_those_of_the_whole_covariance_for_any_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.linalg.eigvalsh(np.cov(X.astype(float), rowvar=False))
    share = values / values.sum()
    for size in (1 << 24, 7 * 4 * 8):
        monkeypatch.setattr("ffprobe.analysis.probing.features.BLOCK", size)
        found = describe(X)
        assert found.effective_rank == pytest.approx(np.exp(-(share * np.log(share)).sum()))
        assert found.participation_ratio == pytest.approx(1 / (share**2).sum())


def test_fisher_ratio_is_scatter_between_over_scatter_within() -> None:
    x = X.astype(float)
    within = sum(((x[k == LABELS] - x[k == LABELS].mean(axis=0)) ** 2).sum() for k in range(3))
    between = sum((k == LABELS).sum() * ((x[k == LABELS].mean(axis=0) - x.mean(axis=0)) ** 2).sum() for k in range(3))
    assert describe(X).fisher_ratio == pytest.approx(between / within)
    assert describe(X * 1000).fisher_ratio == pytest.approx(between / within, rel=1e-4)


def test_nearest_mean_equals_scikit_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ffprobe.analysis.probing.features.BLOCK", 7 * 4 * 8)
    x = X + RANDOM.normal(size=X.shape) * 3
    peer = NearestCentroid().fit(x[~HELD], LABELS[~HELD]).score(x[HELD], LABELS[HELD])
    assert 0.4 < peer < 0.99
    assert describe(x).nearest_mean == pytest.approx(peer)
    swapped = np.where(HELD, (LABELS + 1) % 3, LABELS)
    assert describe(x, swapped).nearest_mean != pytest.approx(peer)


class TestUndefined:
    def test_nothing_varies(self) -> None:
        found = describe(np.full((60, 4), 0.1))
        assert math.isnan(found.effective_rank) and math.isnan(found.participation_ratio)
        assert math.isnan(found.fisher_ratio)

    def test_all_dead(self) -> None:
        found = describe(np.zeros((60, 4)))
        assert (found.dead, found.active) == (1, 0)
        assert math.isnan(found.hoyer) and math.isnan(found.class_entropy)

    def test_one_class(self) -> None:
        found = describe(X, labels=np.zeros(60, int))
        assert all(math.isnan(v) for v in (found.class_entropy, found.fisher_ratio, found.nearest_mean))

    def test_classes_without_scatter_are_infinitely_apart(self) -> None:
        assert math.isinf(describe(CENTRES[LABELS]).fisher_ratio)

    def test_nothing_held_out(self) -> None:
        assert math.isnan(describe(X, held=np.zeros(60)).nearest_mean)

    def test_one_unit_has_no_sparsity(self) -> None:
        assert math.isnan(describe(X[:, :1]).hoyer)

    def test_nonfinite_features_are_refused_by_name(self) -> None:
        x = X.copy()
        x[3, 2] = np.nan
        with pytest.raises(FileError, match=r"NaN or infinity.*layer 4"):
            describe_representation(x, LABELS, HELD, "layer 4")
