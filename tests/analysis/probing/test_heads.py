"""Linear probes and multi-layer probes: closed forms, the optimum, no use of held-out labels, and errors."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info

from ffprobe.analysis.probing.features import groups, standardize
from ffprobe.analysis.probing.heads import head_log_probabilities, train_heads
from ffprobe.analysis.probing.linear_probe import fit_linear_probes
from ffprobe.analysis.probing.threads import run_in_threads
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
    def test_separable_blobs_are_classified_without_error(self, hidden: int | None) -> None:
        x, labels, held = blobs(6.0)
        assert train_heads([x], labels, held, hidden=hidden, repeats=2).tolist() == [[1.0, 1.0]]

    def test_shuffled_labels_give_chance_accuracy(self, hidden: int | None) -> None:
        x, labels, held = blobs(6.0)
        shuffled = np.random.default_rng(2).permutation(labels)
        assert train_heads([x], shuffled, held, hidden=hidden, repeats=3).mean() == pytest.approx(0.25, abs=0.08)

    def test_held_out_labels_are_never_used(self, hidden: int | None) -> None:
        x, labels, held = blobs(0.5, classes=2)
        flipped = np.where(held, 1 - labels, labels)
        right = train_heads([x], labels, held, hidden=hidden, repeats=2)
        assert train_heads([x], flipped, held, hidden=hidden, repeats=2) == pytest.approx(1 - right)

    def test_other_matrices_padding_and_grouping_change_nothing(self, hidden: int | None) -> None:
        x, labels, held = blobs(0.7)
        wide = np.concatenate([x, x[:, :5] ** 2, np.ones_like(x)], axis=1)
        alone = [train_heads([m], labels, held, hidden=hidden, repeats=2)[0] for m in (x, wide)]
        together = train_heads([x, wide], labels, held, hidden=hidden, repeats=2)
        apart = train_heads([x, wide], labels, held, hidden=hidden, repeats=2, memory=1)
        assert together == pytest.approx(np.array(alone), abs=0.006)  # one of 200 images
        assert apart == pytest.approx(np.array(alone), abs=0)

    def test_the_seed_determines_the_result(self, hidden: int | None) -> None:
        x, labels, held = blobs(0.7)
        first, again, other = (train_heads([x], labels, held, hidden=hidden, seed=s) for s in (3, 3, 4))
        assert first.tolist() == again.tolist() != other.tolist()
        assert len(set(first[0])) > 1  # repeats fit on different images

    def test_labels_may_be_any_integers(self, hidden: int | None) -> None:
        x, labels, held = blobs(6.0)
        assert train_heads([x], 7 * labels - 3, held, hidden=hidden, repeats=1) == 1

    def test_a_class_without_fit_rows_is_never_predicted(self, hidden: int | None) -> None:
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


def test_a_linear_probe_reaches_the_optimum(digits: Data) -> None:
    x, labels, held = digits
    x, labels = x[~held][:, x[~held].std(axis=0) > 0], labels[~held]
    z = StandardScaler().fit_transform(x)
    peer = LogisticRegression(C=0.5, max_iter=2000).fit(z, labels)

    def objective(coefficients: np.ndarray, intercepts: np.ndarray) -> float:
        logits = z @ coefficients + intercepts
        losses = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(z)), labels]
        return float(losses.sum() + 2.0 / 2 * (coefficients**2).sum())

    best = objective(peer.coef_.T, peer.intercept_)
    [probe] = fit_linear_probes([z.astype(np.float32)], labels, np.ones((3, len(z)), bool), classes=10, l2=2.0)
    for weight, bias in zip(probe.weight.astype(float), probe.bias.astype(float), strict=True):
        assert best * 0.999 < objective(weight.T, bias) < best * 1.003


def test_each_subset_reaches_its_own_optimum(digits: Data) -> None:
    x, labels, held = digits
    z = StandardScaler().fit_transform(x[~held]).astype(np.float64)  # rounding in float32 ends a fit before 1e-6
    used = np.stack([np.random.default_rng(k).permutation(len(z)) < 500 for k in range(3)])
    [probe] = fit_linear_probes([z], labels[~held], used, 10, 1.0, tolerance=1e-6)
    for weight, bias, rows in zip(probe.weight, probe.bias, used, strict=True):
        peer = LogisticRegression(tol=1e-8, max_iter=5000).fit(z[rows], labels[~held][rows])
        assert weight == pytest.approx(peer.coef_, abs=2e-3)
        centred = bias - bias.mean()  # a constant added to all intercepts changes nothing
        assert centred == pytest.approx(peer.intercept_ - peer.intercept_.mean(), abs=2e-3)


def test_two_classes_have_the_penalty_of_two_weight_vectors() -> None:
    x, labels, _ = blobs(0.5, classes=2)
    [probe] = fit_linear_probes([x], labels, np.ones((1, len(x)), bool), 2, l2=30.0, tolerance=1e-6)
    weight, bias = probe.weight[0].astype(float), probe.bias[0].astype(float)
    logits = x @ weight.T + bias
    error = softmax(logits, axis=1) - np.eye(2)[labels]
    assert error.T @ x + 30.0 * weight == pytest.approx(np.zeros((2, 8)), abs=0.02)  # the gradient of the objective
    assert error.sum(axis=0) == pytest.approx([0, 0], abs=0.02)


def test_without_a_penalty_a_fit_ends_and_warns_about_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels, held = blobs(6.0)
    monkeypatch.setattr("ffprobe.analysis.probing.linear_probe.MAX_ITERATIONS", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert train_heads([x], labels, held, repeats=2, l2=0.0).shape == (1, 2)


def test_intercepts_are_free_of_penalty() -> None:
    label = np.array([0] * 90 + [1] * 10)
    x = np.zeros((100, 1), np.float32)  # only the intercept matters
    [probe] = fit_linear_probes([x], label, np.ones((1, 100), bool), classes=2, l2=1e8)
    assert softmax(probe.bias[0]) == pytest.approx([0.9, 0.1], abs=1e-4)


def test_linear_probes_have_the_accuracy_of_scikit_learn_on_copied_rows(digits: Data) -> None:
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


def test_z_scores_use_the_statistics_of_the_fit_rows() -> None:
    x, _, held = blobs(1.0)
    x[:, 3] = np.where(held, 9, 2.1)  # constant on the fit rows
    z = z_scores(x * 100 + 50, held)
    assert z[~held].mean(axis=0) == pytest.approx(np.zeros(8), abs=1e-5)
    assert np.delete(z[~held].std(axis=0), 3) == pytest.approx(np.ones(7), abs=1e-5)
    assert not z[:, 3].any()
    constants = np.where(held[:, None], 0, np.linspace(0.1, 0.9, 40))
    assert not z_scores(constants, held).any()  # even if their mean is not representable
    x[held] += 1000
    assert (z_scores(x * 100 + 50, held)[~held] == z[~held]).all()


def test_z_scores_equal_scikit_learns_for_any_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    x = (random.normal(size=(500, 7)) * 10.0 ** np.arange(-3, 4) + 20 * 10.0 ** np.arange(-3, 4)).astype(np.float32)
    held = random.random(500) < 0.3
    scale = StandardScaler().fit(x[~held].astype(float))
    for size in (1 << 24, 300):  # all at once; ten rows at a time
        monkeypatch.setattr("ffprobe.analysis.probing.features.BLOCK", size)
        assert z_scores(x, held) == pytest.approx(scale.transform(x.astype(float)), abs=2e-4)


def test_groups_stay_below_the_memory_limit_and_contain_every_matrix_once() -> None:
    widths = [3, 500, 20, 500, 7, 300, 9000]
    grouped = list(groups(widths, rows=100, memory=500_000))
    assert sorted(i for group in grouped for i in group) == list(range(7))
    assert len(grouped) > 1
    for group in grouped:
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
    def test_they_predict_the_classes_of_train_heads_and_sum_to_one(self, hidden: int | None) -> None:
        x, labels, held = blobs(1.0)
        wide = np.concatenate([x, -x, x], axis=1)
        accuracy = train_heads([x, wide], labels, held, hidden=hidden, repeats=3)
        log_probabilities = dict(head_log_probabilities([x, wide], labels, held, hidden=hidden, repeats=3))
        assert sorted(log_probabilities) == [0, 1]
        for i, log_q in log_probabilities.items():
            assert log_q.shape == (3, 200, 4)
            assert np.exp(log_q).sum(axis=2) == pytest.approx(np.ones((3, 200)))
            # class frequencies may change the order of nearly equal classes
            assert (log_q.argmax(axis=2) == labels[held]).mean(axis=1) == pytest.approx(accuracy[i], abs=0.01)

    def test_their_confidence_equals_their_accuracy(self, hidden: int | None) -> None:
        x, labels, held = blobs(0.35, rows=3000)
        noisy = np.concatenate([x, np.random.default_rng(0).normal(size=(3000, 120))], axis=1).astype(np.float32)
        [(_, log_q)] = head_log_probabilities([noisy], labels, held, hidden=hidden, repeats=1, l2=1e-3)
        confidence, correct = np.exp(log_q[0].max(axis=1)), log_q[0].argmax(axis=1) == labels[held]
        assert 0.3 < correct.mean() < 0.9
        assert confidence.mean() == pytest.approx(correct.mean(), abs=0.04)
        for part in np.array_split(np.argsort(confidence), 4):
            assert confidence[part].mean() == pytest.approx(correct[part].mean(), abs=0.09)

    def test_held_out_labels_are_never_used(self, hidden: int | None) -> None:
        x, labels, held = blobs(0.5)
        other = np.where(held, (labels + 1) % 4, labels)
        [(_, a)], [(_, b)] = (head_log_probabilities([x], y, held, hidden=hidden) for y in (labels, other))
        assert (a == b).all()


class TestRefusals:
    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_the_error_for_nonfinite_features_names_the_layer(self, bad: float) -> None:
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
        with pytest.raises(FileError, match=r"at least two classes.*have 1"):
            train_heads([x], np.where(held, labels, 2), held)

    def test_nothing_to_fit_on(self) -> None:
        x, labels, _ = blobs(1.0)
        with pytest.raises(FileError, match=r"at least two classes.*have 0"):
            train_heads([x], labels, np.ones(len(x)))

    def test_labels_of_another_length(self) -> None:
        x, labels, held = blobs(1.0)
        with pytest.raises(FileError, match=r"shape \(600, 8\) for 599 labels.*\(matrix 0\)"):
            train_heads([x], labels[1:], held)


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels, held = blobs(0.7)
    layers = [x, x**2, -x, np.abs(x)]
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    one = train_heads(layers, labels, held, repeats=2)
    monkeypatch.setattr("torch.get_num_threads", lambda: 3)
    assert train_heads(layers, labels, held, repeats=2) == pytest.approx(one, abs=0)


def test_jobs_run_at_once_in_threads_with_one_blas_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 3)
    together = threading.Barrier(3, timeout=60)

    def job() -> tuple[int, set[int]]:
        together.wait()  # breaks unless three jobs run at the same time
        return threading.get_ident(), {library["num_threads"] for library in threadpool_info() if is_blas(library)}

    def is_blas(library: dict[str, object]) -> bool:
        return library["user_api"] == "blas"

    results = run_in_threads([job] * 3)
    assert len({thread for thread, _ in results} - {threading.get_ident()}) == 3
    assert [threads for _, threads in results] == [{1}] * 3


def test_results_are_in_the_order_of_the_jobs_and_an_error_is_raised() -> None:
    assert run_in_threads([lambda i=i: i for i in range(20)]) == list(range(20))  # type: ignore[misc]
    assert run_in_threads([]) == []
    with pytest.raises(ZeroDivisionError):
        run_in_threads([lambda: 1 / 0])
