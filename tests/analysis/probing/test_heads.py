"""Classifier heads: closed forms, scikit-learn's optimum, what they must not look at, and what they refuse."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from ffprobe.analysis.probing.features import groups, standardize
from ffprobe.analysis.probing.heads import head_log_probabilities, train_heads
from ffprobe.analysis.probing.logistic import fit_logistic
from ffprobe.analysis.probing.side_by_side import side_by_side
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

    best = objective(peer.coef_.T, peer.intercept_)
    padded = np.concatenate([z, np.ones((len(z), 1))], axis=1).astype(np.float32)
    for used in (np.ones((1, len(z))), np.ones((3, len(z)))):  # alone, and with the fit to all rows before it
        for weights in fit_logistic(padded, labels, used, classes=10, l2=2.0).astype(float):
            assert best * 0.999 < objective(weights.T[:-1], weights.T[-1]) < best * 1.003


def test_each_subset_reaches_its_own_optimum(digits: Data) -> None:
    x, labels, held = digits
    z = StandardScaler().fit_transform(x[~held]).astype(np.float32)
    used = np.stack([np.random.default_rng(k).permutation(len(z)) < 500 for k in range(3)])
    padded = np.concatenate([z, np.ones((len(z), 1), np.float32)], axis=1)
    ours = fit_logistic(padded, labels[~held], used, 10, 1.0, tolerance=1e-6).astype(float)
    for weights, rows in zip(ours, used, strict=True):
        peer = LogisticRegression(tol=1e-8, max_iter=5000).fit(z[rows].astype(float), labels[~held][rows])
        assert weights[:, :-1] == pytest.approx(peer.coef_, abs=2e-3)
        centred = weights[:, -1] - weights[:, -1].mean()  # a constant added to all intercepts changes nothing
        assert centred == pytest.approx(peer.intercept_ - peer.intercept_.mean(), abs=2e-3)


def test_intercepts_are_free_of_penalty() -> None:
    label = np.array([0] * 90 + [1] * 10)
    x = np.ones((100, 1), np.float32)  # nothing but the intercept
    weights = fit_logistic(x, label, np.ones((1, 100)), classes=2, l2=1e4)
    assert softmax(weights[0, :, 0]) == pytest.approx([0.9, 0.1], abs=1e-4)


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


def z_scores(x: np.ndarray, held: np.ndarray) -> np.ndarray:
    fit, score = (np.empty((n, x.shape[1]), np.float32) for n in ((~held).sum(), held.sum()))
    standardize(x, held, "0", fit, score)
    whole = np.empty(x.shape, np.float32)
    whole[~held], whole[held] = fit, score
    return whole


def test_z_scores_come_from_the_rows_to_fit_on() -> None:
    x, _, held = blobs(1.0)
    x[:, 3] = np.where(held, 9, 2.1)  # constant where it is fitted
    z = z_scores(x * 100 + 50, held)
    assert z[~held].mean(axis=0) == pytest.approx(np.zeros(8), abs=1e-5)
    assert np.delete(z[~held].std(axis=0), 3) == pytest.approx(np.ones(7), abs=1e-5)
    assert not z[:, 3].any()
    constants = np.where(held[:, None], 0, np.linspace(0.1, 0.9, 40))
    assert not z_scores(constants, held).any()  # even where their mean is not a float
    x[held] += 1000
    assert (z_scores(x * 100 + 50, held)[~held] == z[~held]).all()


def test_z_scores_are_those_of_scikit_learn_in_whatever_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    x = (random.normal(size=(500, 7)) * 10.0 ** np.arange(-3, 4) + 20 * 10.0 ** np.arange(-3, 4)).astype(np.float32)
    held = random.random(500) < 0.3
    scale = StandardScaler().fit(x[~held].astype(float))
    for size in (1 << 24, 300):  # all at once; ten rows at a time
        monkeypatch.setattr("ffprobe.analysis.probing.features.BLOCK", size)
        assert z_scores(x, held) == pytest.approx(scale.transform(x.astype(float)), abs=2e-4)


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

    class InBlocks:
        shape = x.shape

        def blocks(self, rows: int) -> Iterator[np.ndarray]:
            return iter((x[:250], x[250:]))

    assert train_heads([InBlocks()], labels, held, repeats=1) == 1


@pytest.mark.parametrize("hidden", [None, 16])
class TestLogProbabilities:
    def test_they_name_what_train_heads_names_and_sum_to_one(self, hidden: int | None) -> None:
        x, labels, held = blobs(1.0)
        wide = np.concatenate([x, -x, x], axis=1)
        accuracy = train_heads([x, wide], labels, held, hidden=hidden, repeats=3)
        found = dict(head_log_probabilities([x, wide], labels, held, hidden=hidden, repeats=3))
        assert sorted(found) == [0, 1]
        for i, log_q in found.items():
            assert log_q.shape == (3, 200, 4)
            assert np.exp(log_q).sum(axis=2) == pytest.approx(np.ones((3, 200)))
            # class frequencies may decide a near tie otherwise
            assert (log_q.argmax(axis=2) == labels[held]).mean(axis=1) == pytest.approx(accuracy[i], abs=0.01)

    def test_they_are_as_sure_as_they_are_right(self, hidden: int | None) -> None:
        x, labels, held = blobs(0.35, rows=3000)
        noisy = np.concatenate([x, np.random.default_rng(0).normal(size=(3000, 120))], axis=1).astype(np.float32)
        [(_, log_q)] = head_log_probabilities([noisy], labels, held, hidden=hidden, repeats=1, l2=1e-3)
        sure, right = np.exp(log_q[0].max(axis=1)), log_q[0].argmax(axis=1) == labels[held]
        assert 0.3 < right.mean() < 0.9
        assert sure.mean() == pytest.approx(right.mean(), abs=0.04)
        for part in np.array_split(np.argsort(sure), 4):
            assert sure[part].mean() == pytest.approx(right[part].mean(), abs=0.09)

    def test_the_labels_to_score_on_are_never_looked_at(self, hidden: int | None) -> None:
        x, labels, held = blobs(0.5)
        other = np.where(held, (labels + 1) % 4, labels)
        [(_, a)], [(_, b)] = (head_log_probabilities([x], y, held, hidden=hidden) for y in (labels, other))
        assert (a == b).all()


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


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels, held = blobs(0.7)
    layers = [x, x**2, -x, np.abs(x)]
    alone = train_heads(layers, labels, held, repeats=2)
    threads = []

    def jobs_side_by_side(jobs: list[Callable[[], object]]) -> list[object]:
        monkeypatch.setattr("torch.get_num_threads", lambda: 3)

        def watched(job: Callable[[], object]) -> object:
            threads.append(threading.get_ident())
            return job()

        return side_by_side([partial(watched, job) for job in jobs])

    monkeypatch.setattr("ffprobe.analysis.probing.heads.side_by_side", jobs_side_by_side)
    assert train_heads(layers, labels, held, repeats=2) == pytest.approx(alone, abs=0)
    assert threading.get_ident() not in threads and len(threads) == 4
