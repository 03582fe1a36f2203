"""Classifier heads: closed forms, scikit-learn's optimum, what they must not look at, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from ffprobe.analysis.features import groups, standardize
from ffprobe.analysis.heads import train_heads
from ffprobe.analysis.logistic import fit_logistic
from ffprobe.errors import FileError

Data = tuple[np.ndarray, np.ndarray, np.ndarray]


def blobs(apart: float, classes: int = 4, rows: int = 600, width: int = 8) -> Data:
    """Features ``[rows, width]``, labels, and a held-out third."""
    random = np.random.default_rng(1)
    labels = random.integers(0, classes, rows)
    x = apart * random.normal(size=(classes, width))[labels] + random.normal(size=(rows, width))
    return x.astype(np.float32), labels, np.arange(rows) % 3 == 0


@pytest.fixture(scope="module")
def digits() -> Data:
    x, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))[:1140]
    return x[order].astype(np.float32), labels[order], np.arange(1140) >= 1000


@pytest.mark.parametrize("hidden", [None, 16])
class TestBothHeads:
    def test_separable_blobs_are_named_without_error(self, hidden: int | None) -> None:
        x, labels, held = blobs(6.0)
        assert train_heads([x], labels, held, hidden=hidden, repeats=2).tolist() == [[1.0, 1.0]]

    def test_shuffled_labels_are_chance(self, hidden: int | None) -> None:
        x, labels, held = blobs(6.0)
        shuffled = np.random.default_rng(2).permutation(labels)
        assert train_heads([x], shuffled, held, hidden=hidden, repeats=3).mean() == pytest.approx(0.25, abs=0.08)

    def test_the_labels_to_score_on_are_never_looked_at(self, hidden: int | None) -> None:
        x, labels, held = blobs(0.5, classes=2)
        flipped = np.where(held, 1 - labels, labels)
        right = train_heads([x], labels, held, hidden=hidden, repeats=2)
        assert train_heads([x], flipped, held, hidden=hidden, repeats=2) == pytest.approx(1 - right)

    def test_companions_padding_and_grouping_change_nothing(self, hidden: int | None) -> None:
        x, labels, held = blobs(0.7)
        wide = np.concatenate([x, x[:, :5] ** 2, np.ones_like(x)], axis=1)
        alone = [train_heads([m], labels, held, hidden=hidden, repeats=2)[0] for m in (x, wide)]
        together = train_heads([x, wide], labels, held, hidden=hidden, repeats=2)
        apart = train_heads([x, wide], labels, held, hidden=hidden, repeats=2, memory=1)
        assert together == pytest.approx(np.array(alone), abs=0.006)  # one of 200 images
        assert apart == pytest.approx(np.array(alone), abs=0)

    def test_the_seed_decides(self, hidden: int | None) -> None:
        x, labels, held = blobs(0.7)
        first, again, other = (train_heads([x], labels, held, hidden=hidden, seed=s) for s in (3, 3, 4))
        assert first.tolist() == again.tolist() != other.tolist()
        assert len(set(first[0])) > 1  # repeats fit on different images

    def test_classes_need_not_count_from_zero(self, hidden: int | None) -> None:
        x, labels, held = blobs(6.0)
        assert train_heads([x], 7 * labels - 3, held, hidden=hidden, repeats=1) == 1

    def test_a_class_that_was_not_fitted_on_is_missed(self, hidden: int | None) -> None:
        x, labels, held = blobs(6.0)
        keep = held | (labels != 2)
        accuracy = train_heads([x[keep]], labels[keep], held[keep], hidden=hidden, repeats=1)
        assert accuracy == pytest.approx((labels[held] != 2).mean())


def test_only_the_multi_layer_head_solves_xor() -> None:
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, size=(900, 2)).astype(np.float32)
    labels, held = (x[:, 0] * x[:, 1] > 0).astype(int), np.arange(900) >= 600
    assert train_heads([x], labels, held).mean() < 0.65
    assert train_heads([x], labels, held, hidden=32).mean() > 0.93


def test_linear_head_reaches_the_optimum_of_scikit_learn(digits: Data) -> None:
    x, labels, held = digits
    x, labels = x[~held][:, x[~held].std(axis=0) > 0], labels[~held]
    z = StandardScaler().fit_transform(x)
    peer = LogisticRegression(C=0.5, max_iter=2000).fit(z, labels)

    def objective(coefficients: np.ndarray, intercepts: np.ndarray) -> float:
        logits = z @ coefficients + intercepts
        losses = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(z)), labels]
        return float(losses.sum() + 2.0 / 2 * (coefficients**2).sum())

    padded = torch.from_numpy(np.concatenate([z, np.ones((len(z), 1))], axis=1).astype(np.float32))[None]
    used = torch.ones(1, len(z))
    weights = fit_logistic(padded, torch.from_numpy(labels), used, classes=10, l2=2.0)[0, :, 0].double().numpy()
    best = objective(peer.coef_.T, peer.intercept_)
    assert best * 0.999 < objective(weights[:-1], weights[-1]) < best * 1.01


def test_intercepts_are_free_of_penalty() -> None:
    label = torch.tensor([0] * 90 + [1] * 10)
    x = torch.ones(1, 100, 1)  # nothing but the intercept
    weights = fit_logistic(x, label, torch.ones(1, 100), classes=2, l2=1e4)
    assert weights[0, 0, 0].softmax(dim=0).tolist() == pytest.approx([0.9, 0.1], abs=1e-4)


def test_linear_head_scores_like_scikit_learn(digits: Data) -> None:
    x, labels, held = digits
    random = np.random.default_rng(5)
    layers = [x, np.maximum(x / 16 @ random.normal(size=(64, 256)), 0).astype(np.float32)]
    ours = train_heads(layers, labels, held, repeats=5).mean(axis=1)
    for layer, accuracy in zip(layers, ours, strict=True):
        scale, peers = StandardScaler().fit(layer[~held]), []
        for k in range(3):
            rows = np.random.default_rng(k).permutation(1000)[:800]
            peer = LogisticRegression(max_iter=500).fit(scale.transform(layer[~held][rows]), labels[~held][rows])
            peers.append(peer.score(scale.transform(layer[held]), labels[held]))
        assert accuracy == pytest.approx(np.mean(peers), abs=0.015)


def test_z_scores_come_from_the_rows_to_fit_on() -> None:
    x, _, held = blobs(1.0)
    x[:, 3] = np.where(held, 9, 2.1)  # constant where it is fitted
    z = standardize(x * 100 + 50, held, "0")
    assert z.dtype == np.float32
    assert z[~held].mean(axis=0) == pytest.approx(np.zeros(8), abs=1e-5)
    assert np.delete(z[~held].std(axis=0), 3) == pytest.approx(np.ones(7), abs=1e-5)
    assert not z[:, 3].any()
    constants = np.where(held[:, None], 0, np.linspace(0.1, 0.9, 40))
    assert not standardize(constants, held, "0").any()  # even where their mean is not a float
    x[held] += 1000
    assert (standardize(x * 100 + 50, held, "0")[~held] == z[~held]).all()


def test_groups_stay_below_the_memory_and_hold_every_matrix_once() -> None:
    widths = [3, 500, 20, 500, 7, 300, 9000]
    found = list(groups(widths, rows=100, memory=500_000))
    assert sorted(i for group in found for i in group) == list(range(7))
    assert len(found) > 1
    for group in found:
        assert len(group) == 1 or len(group) * max(widths[i] for i in group) * 100 * 4 <= 500_000


def test_a_lazy_matrix_is_read_once() -> None:
    x, labels, held = blobs(6.0)
    reads = []

    class Lazy:
        shape = x.shape

        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            reads.append(1)
            return x

    assert train_heads([Lazy()], labels, held, repeats=1) == 1
    assert reads == [1]


class TestRefusals:
    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_what_is_not_finite_names_the_layer(self, bad: float) -> None:
        x, labels, held = blobs(1.0)
        broken = x.copy()
        broken[[4, 7], 2] = bad
        with pytest.raises(FileError, match=r"NaN or infinity for 2 of 600 images.*\(layer 5 post\)"):
            train_heads([x, broken], labels, held, names=["layer 4", "layer 5 post"])

    def test_no_row_is_held_out(self) -> None:
        x, labels, _ = blobs(1.0)
        with pytest.raises(FileError, match="No image is held out"):
            train_heads([x], labels, np.zeros(len(x)))

    def test_one_class_to_fit_on(self) -> None:
        x, labels, held = blobs(1.0)
        with pytest.raises(FileError, match=r"at least two classes.*show 1"):
            train_heads([x], np.where(held, labels, 2), held)

    def test_nothing_to_fit_on(self) -> None:
        x, labels, _ = blobs(1.0)
        with pytest.raises(FileError, match=r"at least two classes.*show 0"):
            train_heads([x], labels, np.ones(len(x)))

    def test_labels_of_another_length(self) -> None:
        x, labels, held = blobs(1.0)
        with pytest.raises(FileError, match=r"shape \(600, 8\) for 599 labels.*\(matrix 0\)"):
            train_heads([x], labels[1:], held)
