"""Linear probes and multi-layer probes on many feature matrices at once.

A probe is a small classifier (a head) that is fitted on recorded activations; its held-out accuracy says how much a
linear classifier or a small network can read from a layer. The repeats of one matrix share its rows and differ by a
mask, so every matrix is read once and kept in memory once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ffprobe.analysis.probing.features import check_rows, groups, standardize
from ffprobe.analysis.probing.linear_probe import LinearProbe, fit_linear_probes
from ffprobe.analysis.probing.temperature import calibrated
from ffprobe.analysis.probing.threads import run_in_threads

if TYPE_CHECKING:
    import torch

KEPT = 0.8
"""Fraction of the fit rows that each repeat fits on; the rest selects the best weights of a multi-layer head."""


def train_heads(
    features: Sequence[Any],
    labels: Any,
    held_out: Any,
    *,
    hidden: int | None = None,
    repeats: int = 5,
    seed: int = 0,
    l2: float = 1.0,
    memory: int = 1 << 29,
    names: Sequence[str] = (),
) -> np.ndarray:
    """Fit linear probes or multi-layer probes on every feature matrix and score them on the held-out rows.

    Features are z-scored with the statistics of the fit rows. Each repeat fits on its own random 80 % of the fit rows,
    the same rows for every matrix. The linear head is scikit-learn's multinomial logistic regression with its default
    tolerance. The multi-layer head has one hidden ReLU layer and its own random initialization in each repeat, and
    keeps the weights with the smallest loss on the 20 % that it does not fit on. A matrix's accuracies do not depend on
    the other matrices, except for the last bits of floating point.

    Args:
        features: float matrices ``[N, F_i]``: arrays, or anything with a ``shape`` that has ``blocks(rows)`` or that
            ``numpy.asarray`` reads; each is read once, when it is needed.
        labels: integers ``[N]``.
        held_out: ``[N]``, true for the rows to score on.
        hidden: width of the hidden layer; None for the linear head.
        repeats: number of fits for each matrix.
        seed: random seed of the subsets of rows and of the initializations.
        l2: strength of the penalty ``l2 / 2 * ||W||^2`` added to the summed cross-entropy of the rows, scikit-learn's
            ``1 / C``; intercepts are not penalized.
        memory: maximum number of bytes for the features of matrices that are fitted together; a larger matrix is fitted
            alone.
        names: name of each matrix in an error message; its position by default.

    Returns:
        Float64 ``[len(features), repeats]``: the fraction of held-out rows that the head classifies correctly.

    Raises:
        FileError: a matrix contains NaN or infinity (the message names it), a shape differs, no row is held out, or
            fewer than two classes are left to fit on.
    """
    target, held = _flat(labels, held_out)
    accuracy = np.full((len(features), repeats), np.nan)
    for head in _fit(features, target, held, hidden, repeats, seed, l2, memory, names):
        accuracy[head.matrix] = head.accuracy(head.logits(head.score), target[held])
        del head  # frees its features before the next ones are read
    return accuracy


def head_log_probabilities(
    features: Sequence[Any],
    labels: Any,
    held_out: Any,
    *,
    hidden: int | None = None,
    repeats: int = 5,
    seed: int = 0,
    l2: float = 1.0,
    memory: int = 1 << 29,
    names: Sequence[str] = (),
) -> Iterator[tuple[int, np.ndarray]]:
    """Fit the heads of ``train_heads`` and return calibrated log-probabilities for each held-out row.

    The fit rows that a repeat does not fit on determine its temperature and its highest confidence (``calibrated`` in
    ``ffprobe/analysis/probing/temperature.py``); held-out labels are never used.

    Args:
        features: as in ``train_heads``, like all further arguments.
        labels: integers ``[N]``.
        held_out: ``[N]``, true for the rows to score on.
        hidden: width of the hidden layer; None for the linear head.
        repeats: number of fits for each matrix.
        seed: random seed.
        l2: strength of the penalty.
        memory: maximum number of bytes for the features of matrices that are fitted together.
        names: name of each matrix in an error message.

    Yields:
        The position of a matrix and its float64 ``[repeats, held-out rows, classes]``: natural logarithms of
        probabilities, one for each class among the fit rows, in ascending order. The widest matrices come first.

    Raises:
        FileError: as in ``train_heads``.
    """
    fits = fit_heads(
        features, labels, held_out, hidden=hidden, repeats=repeats, seed=seed, l2=l2, memory=memory, names=names
    )
    for matrix, _, log_probabilities in fits:
        yield matrix, log_probabilities


def fit_heads(
    features: Sequence[Any],
    labels: Any,
    held_out: Any,
    *,
    hidden: int | None = None,
    repeats: int = 5,
    seed: int = 0,
    l2: float = 1.0,
    memory: int = 1 << 29,
    names: Sequence[str] = (),
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Fit heads once for both their accuracies (``train_heads``) and their ``head_log_probabilities``.

    The arguments and errors are those of both.

    Yields:
        The position of a matrix, its accuracies float64 ``[repeats]``, and its float64 ``[repeats, held-out rows,
        classes]`` of log-probabilities.
    """
    target, held = _flat(labels, held_out)
    for head in _fit(features, target, held, hidden, repeats, seed, l2, memory, names):
        fit_logits, score_logits = head.logits(head.fit), head.logits(head.score)
        log_probabilities = []
        for used, fitted, new in zip(head.used, fit_logits, score_logits, strict=True):
            frequencies = np.bincount(head.label[used], minlength=len(head.classes)) + 0.5
            log_probabilities.append(calibrated(fitted[~used], head.label[~used], new, frequencies))
        matrix, accuracy = head.matrix, head.accuracy(score_logits, target[held])
        del head, fit_logits, score_logits  # frees the features before the next ones are read
        yield matrix, accuracy, np.stack(log_probabilities)


def fitted_rows(rows: int, repeats: int, seed: int) -> torch.Tensor:
    """The random 80 % of the fit rows that each repeat uses, bool ``[repeats, rows]``."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    order = torch.stack([torch.randperm(rows, generator=generator) for _ in range(repeats)])
    return order < max(1, round(KEPT * rows))


class _FittedHeads(NamedTuple):
    """The fitted heads of one matrix, one for each repeat."""

    matrix: int
    classes: np.ndarray
    label: np.ndarray  # index into classes for each fit row
    used: np.ndarray  # bool [R, fit rows]
    fit: torch.Tensor
    score: torch.Tensor
    logits: Callable[[torch.Tensor], np.ndarray]  # rows of fit or score -> [R, N, K]

    def accuracy(self, logits: np.ndarray, target: np.ndarray) -> np.ndarray:
        """The fraction of rows that each repeat classifies correctly, ``[R]``, from the logits of the held-out rows."""
        return (self.classes[logits.argmax(axis=2)] == target).mean(axis=1)


def _flat(labels: Any, held_out: Any) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(labels).reshape(-1), np.asarray(held_out).reshape(-1) != 0


def _fit(
    features: Sequence[Any],
    target: np.ndarray,
    held: np.ndarray,
    hidden: int | None,
    repeats: int,
    seed: int,
    l2: float,
    memory: int,
    names: Sequence[str],
) -> Iterator[_FittedHeads]:
    import torch

    titles = [names[i] if i < len(names) else f"matrix {i}" for i in range(len(features))]
    check_rows(features, target, held, titles)
    classes, label = np.unique(target[~held], return_inverse=True)
    rows = len(label)
    used = fitted_rows(rows, repeats, seed)
    for group in groups([m.shape[1] for m in features], len(target), memory):
        widths = [features[i].shape[1] for i in group]
        fit, score = (_arrays(widths, n, padded=bool(hidden)) for n in (rows, len(target) - rows))
        for i, width, a, b in zip(group, widths, fit, score, strict=True):
            standardize(features[i], held, titles[i], a[:, :width], b[:, :width])
        logits: list[Callable[[torch.Tensor], np.ndarray]]
        if hidden:
            logits = _networks(fit, label, used, len(classes), l2, hidden, widths, seed)
        else:
            probes = fit_linear_probes(fit, label, used.numpy(), len(classes), l2)
            logits = [partial(_linear_logits, probe) for probe in probes]
        for i, a, b, function in zip(group, fit, score, logits, strict=True):
            yield _FittedHeads(i, classes, label, used.numpy(), torch.from_numpy(a), torch.from_numpy(b), function)
        del fit, score, a, b  # frees them before the next ones are read


def _arrays(widths: Sequence[int], rows: int, *, padded: bool) -> Any:
    """Float32 arrays to fill, one for each width.

    Returns:
        For linear probes, a list of ``[rows, width]``, C-contiguous, so that scikit-learn makes no copy. Padded for
        networks, ``[G, rows, largest width + 1]`` of zeros, with ones in the last column for the intercept.
    """
    if not padded:
        return [np.empty((rows, width), np.float32) for width in widths]
    stack = np.zeros((len(widths), rows, max(widths) + 1), np.float32)
    stack[:, :, -1] = 1
    return stack


def _networks(
    fit: np.ndarray,
    label: np.ndarray,
    used: torch.Tensor,
    classes: int,
    l2: float,
    hidden: int,
    widths: Sequence[int],
    seed: int,
) -> list[Callable[[torch.Tensor], np.ndarray]]:
    """Fit networks on each matrix of ``[G, fit rows, F + 1]``; return the functions that compute their logits."""
    import torch

    from ffprobe.analysis.probing.perceptron import fit_perceptron

    x, truth, mask = torch.from_numpy(fit), torch.from_numpy(label), used.float()
    threads = torch.get_num_threads()

    def network(i: int) -> list[torch.Tensor]:
        torch.set_num_threads(1)
        fitted = fit_perceptron(x[i : i + 1], truth, mask, classes, l2, hidden, widths[i : i + 1], seed)
        return [w.detach() for w in fitted]

    # one matrix a thread: its weights stay in the processor's cache, and threads of one product do not wait for another
    try:
        fits = run_in_threads([partial(network, i) for i in range(len(widths))], "multi-layer classifiers of recording")
    finally:
        torch.set_num_threads(threads)
    return [partial(_network_logits, weights) for weights in fits]


def _linear_logits(probe: LinearProbe, rows: torch.Tensor) -> np.ndarray:
    import torch

    return (rows @ torch.from_numpy(probe.weight).mT + torch.from_numpy(probe.bias)[:, None]).numpy()


def _network_logits(network: Sequence[torch.Tensor], rows: torch.Tensor) -> np.ndarray:
    from ffprobe.analysis.probing.perceptron import perceptron_logits

    return perceptron_logits(rows[None], network)[0].numpy()
