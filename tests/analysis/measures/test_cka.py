"""Linear CKA: closed forms, explicit Gram matrices, invariances, and undefined cases."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import ortho_group

from ffprobe.analysis.measures.cka import CentredFeatures, hsic, linear_cka

RANDOM = np.random.default_rng(0)
X, Y, WIDE = RANDOM.normal(size=(30, 4)), RANDOM.normal(size=(30, 7)) ** 2, RANDOM.normal(size=(30, 200))


def cka(x: np.ndarray, y: np.ndarray, *, debiased: bool) -> float:
    return linear_cka(CentredFeatures(x), CentredFeatures(y), debiased=debiased)


def by_gram(x: np.ndarray, y: np.ndarray, *, debiased: bool) -> float:
    """CKA from n x n Gram matrices, as defined by Kornblith and Song."""
    n = len(x)
    k, ell = x @ x.T, y @ y.T

    def biased(a: np.ndarray, b: np.ndarray) -> float:
        h = np.eye(n) - 1 / n
        return float(np.trace(a @ h @ b @ h))

    def unbiased(a: np.ndarray, b: np.ndarray) -> float:
        a, b, one = a - np.diag(a.diagonal()), b - np.diag(b.diagonal()), np.ones(n)
        middle = (one @ a @ one) * (one @ b @ one) / ((n - 1) * (n - 2))
        return float(np.trace(a @ b) + middle - 2 / (n - 2) * (one @ a @ b @ one)) / (n * (n - 3))

    measure = unbiased if debiased else biased
    return measure(k, ell) / math.sqrt(measure(k, k) * measure(ell, ell))


@pytest.mark.parametrize("debiased", [False, True])
class TestBoth:
    @pytest.mark.parametrize("pair", [(X, Y), (X, WIDE), (WIDE, WIDE[:, :150] + 5), (X + 1e4, Y)])
    def test_it_equals_cka_from_gram_matrices(self, debiased: bool, pair: tuple[np.ndarray, np.ndarray]) -> None:
        expected = by_gram(*(a - a.mean(axis=0) for a in pair), debiased=debiased)
        assert cka(*pair, debiased=debiased) == pytest.approx(expected, abs=1e-9)

    def test_equal_representations_give_one(self, debiased: bool) -> None:
        for x in (X, Y, WIDE):
            assert cka(x, x, debiased=debiased) == pytest.approx(1)

    def test_rotation_scale_and_shift_change_nothing(self, debiased: bool) -> None:
        turned = 7 * X @ ortho_group.rvs(4, random_state=1) + 3
        assert cka(turned, Y, debiased=debiased) == pytest.approx(cka(X, Y, debiased=debiased))
        assert cka(turned, X, debiased=debiased) == pytest.approx(1)
        stretched = X * np.array([1, 10, 1, 1])  # only isotropic scaling is free
        assert cka(stretched, Y, debiased=debiased) != pytest.approx(cka(X, Y, debiased=debiased), abs=1e-3)

    def test_the_order_does_not_matter(self, debiased: bool) -> None:
        assert cka(X, Y, debiased=debiased) == pytest.approx(cka(Y, X, debiased=debiased))

    def test_a_constant_side_is_undefined(self, debiased: bool) -> None:
        assert math.isnan(cka(X, np.full((30, 5), 0.1), debiased=debiased))


def test_closed_form_of_single_features_is_their_squared_correlation() -> None:
    a, b = np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4])
    assert cka(a[:, None], b[:, None], debiased=False) == pytest.approx(0.8**2)  # Spearman's by ranks: r = 0.8


def test_uncorrelated_features_give_zero() -> None:
    a, b = np.array([[1.0], [1], [-1], [-1]]), np.array([[1.0], [-1], [1], [-1]])
    assert cka(a, b, debiased=False) == pytest.approx(0)


def test_debiased_hsic_is_unbiased() -> None:
    """Over all pairings of six images with six others HSIC averages to 0 exactly; the biased one does not."""
    x, y = RANDOM.normal(size=(6, 2)), RANDOM.normal(size=(6, 3))
    features = [CentredFeatures(x), *(CentredFeatures(y[list(p)]) for p in permutations(range(6)))]
    means = [np.mean([hsic(features[0], b, debiased=debiased) for b in features[1:]]) for debiased in (True, False)]
    assert means[0] == pytest.approx(0, abs=1e-9)
    assert means[1] > 1


def test_only_the_biased_estimate_is_high_for_unrelated_wide_layers() -> None:
    a, b = RANDOM.normal(size=(2, 60, 2000))
    assert cka(a, b, debiased=False) > 0.9
    assert abs(cka(a, b, debiased=True)) < 0.1


def test_the_stored_matrix_is_never_larger_than_the_smaller_form() -> None:
    assert CentredFeatures(WIDE).matrix.shape == (30, 30)
    assert CentredFeatures(X).matrix.shape == (30, 4)


def test_too_few_or_different_images_are_refused() -> None:
    with pytest.raises(ValueError, match="3 and 3 images"):
        hsic(CentredFeatures(X[:3]), CentredFeatures(Y[:3]), debiased=True)
    with pytest.raises(ValueError, match="30 and 29 images"):
        hsic(CentredFeatures(X), CentredFeatures(Y[1:]), debiased=False)
