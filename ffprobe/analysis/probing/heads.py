"""Classifier heads on many feature matrices at once: what a linear or a small network can read from each of them.

The repeats of one matrix share its rows and differ by a mask, so features pass through memory once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ffprobe.analysis.probing.features import check_rows, groups, standardize
from ffprobe.analysis.probing.logistic import fit_logistic
from ffprobe.analysis.probing.side_by_side import side_by_side
from ffprobe.analysis.probing.temperature import calibrated

if TYPE_CHECKING:
    import torch

KEPT = 0.8
"""Share of the fit rows that each repeat fits on; the rest decides when a multi-layer head was at its best."""


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
    """Fit heads on every feature matrix and score them on the rows held out.

    Features are z-scored by the statistics of the fit rows. Each repeat fits on its own random 80 % of the fit rows,
    the same rows for every matrix. The linear head is multinomial logistic regression, fitted until the gradient is as
    small as scikit-learn's default asks. The multi-layer head has one hidden ReLU layer, a random start of its own in
    each repeat, and keeps the weights that had the smallest loss on the 20 % that it does not fit on. A matrix's
    accuracies do not depend on its companions but for the last bits of floating point.

    Args:
        features: float matrices ``[N, F_i]``: arrays, or anything with a ``shape`` that has ``blocks(rows)`` or that
            ``numpy.asarray`` reads; each is read once, when its turn comes.
        labels: integers ``[N]``.
        held_out: ``[N]``, true for the rows to score on.
        hidden: width of the hidden layer; None for the linear head.
        repeats: fits of each matrix.
        seed: of all randomness.
        l2: strength of the penalty ``l2 / 2 * ||W||^2`` beside the summed cross-entropy of the rows, scikit-learn's
            ``1 / C``; intercepts are free.
        memory: bytes that the features of the matrices fitted together may take; a larger matrix is fitted alone.
        names: what to call each matrix in an error; its position unless given.

    Returns:
        Float64 ``[len(features), repeats]``: the share of held-out rows that the head names rightly.

    Raises:
        FileError: a matrix holds NaN or infinity (the sentence names it), a shape differs, no row is held out, or
            fewer than two classes are left to fit on.
    """
    target, held = _flat(labels, held_out)
    accuracy = np.full((len(features), repeats), np.nan)
    for head in _fit(features, target, held, hidden, repeats, seed, l2, memory, names):
        named = head.classes[head.logits(head.score).argmax(axis=2)]  # [R, held]
        accuracy[head.matrix] = (named == target[held]).mean(axis=1)
        del head  # its features are let go before the next ones are read
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
    """Fit the heads of ``train_heads`` and give what they say about each held-out row, calibrated.

    The rows to fit on that a repeat does not fit on set its temperature and how sure it may be at most (``calibrated``
    in ``ffprobe/analysis/temperature.py``); held-out labels are never looked at.

    Args:
        features: as in ``train_heads``, like all further arguments.
        labels: integers ``[N]``.
        held_out: ``[N]``, true for the rows to score on.
        hidden: width of the hidden layer; None for the linear head.
        repeats: fits of each matrix.
        seed: of all randomness.
        l2: strength of the penalty.
        memory: bytes for the features of the matrices fitted together.
        names: what to call each matrix in an error.

    Yields:
        The position of a matrix and its float64 ``[repeats, held-out rows, classes]``: natural logarithms of
        probabilities, classes in ascending order of those among the rows to fit on. The widest matrices come first.

    Raises:
        FileError: as in ``train_heads``.
    """
    target, held = _flat(labels, held_out)
    for head in _fit(features, target, held, hidden, repeats, seed, l2, memory, names):
        known, new = head.logits(head.fit), head.logits(head.score)
        told = []
        for used, a, b in zip(head.used, known, new, strict=True):
            frequencies = np.bincount(head.label[used], minlength=len(head.classes)) + 0.5
            told.append(calibrated(a[~used], head.label[~used], b, frequencies))
        matrix = head.matrix
        del head, known, new  # the features are let go before the next ones are read
        yield matrix, np.stack(told)


def fitted_rows(rows: int, repeats: int, seed: int) -> torch.Tensor:
    """Which of the rows to fit on each repeat fits on, bool ``[repeats, rows]``: its own random 80 %."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    order = torch.stack([torch.randperm(rows, generator=generator) for _ in range(repeats)])
    return order < max(1, round(KEPT * rows))


class _Head(NamedTuple):
    """The fitted heads of one matrix: every repeat of it."""

    matrix: int
    classes: np.ndarray
    label: np.ndarray  # position among the classes of each row to fit on
    used: np.ndarray  # bool [R, rows to fit on]
    fit: torch.Tensor
    score: torch.Tensor
    logits: Callable[[torch.Tensor], np.ndarray]  # [N, F + 1] -> [R, N, K]


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
) -> Iterator[_Head]:
    import torch

    titles = [names[i] if i < len(names) else f"matrix {i}" for i in range(len(features))]
    check_rows(features, target, held, titles)
    classes, label = np.unique(target[~held], return_inverse=True)
    rows = len(label)
    used = fitted_rows(rows, repeats, seed)
    for group in groups([m.shape[1] for m in features], len(target), memory):
        widths = [features[i].shape[1] for i in group]
        # networks are fitted as one stack of matrices padded to one width; linear heads each on its own
        room = max(widths) if hidden else 0
        fit, score = (_arrays([room or width for width in widths], n) for n in (rows, len(target) - rows))
        for i, width, a, b in zip(group, widths, fit, score, strict=True):
            standardize(features[i], held, titles[i], a[:, :width], b[:, :width])
        if hidden:
            told = _networks(fit, label, used, len(classes), l2, hidden, widths, seed)
        else:
            jobs = [partial(fit_logistic, one, label, used.numpy(), len(classes), l2) for one in fit]
            told = [partial(_linear_logits, torch.from_numpy(weights)) for weights in side_by_side(jobs)]
            del jobs
        for i, a, b, logits in zip(group, fit, score, told, strict=True):
            yield _Head(i, classes, label, used.numpy(), torch.from_numpy(a), torch.from_numpy(b), logits)
        del fit, score, a, b, logits  # before the next ones are read


def _arrays(widths: Sequence[int], rows: int) -> Any:
    """Float32 ``[rows, width + 1]`` for each width, one array where all are alike; the last column is ones."""
    made: Any
    if len(set(widths)) == 1:
        made = np.zeros((len(widths), rows, widths[0] + 1), np.float32)
    else:
        made = [np.zeros((rows, width + 1), np.float32) for width in widths]
    for one in made:
        one[:, -1] = 1  # for the intercept
    return made


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
    """The logits of the network of each matrix ``[G, rows to fit on, F + 1]``."""
    import torch

    from ffprobe.analysis.probing.perceptron import fit_perceptron

    x, truth = torch.from_numpy(fit), torch.from_numpy(label)
    network = fit_perceptron(x, truth, used.float(), classes, l2, hidden, widths, seed)
    return [partial(_network_logits, [w[j : j + 1].detach() for w in network]) for j in range(len(widths))]


def _linear_logits(weights: torch.Tensor, rows: torch.Tensor) -> np.ndarray:
    return (rows @ weights.mT).numpy()


def _network_logits(network: Sequence[torch.Tensor], rows: torch.Tensor) -> np.ndarray:
    from ffprobe.analysis.probing.perceptron import perceptron_logits

    return perceptron_logits(rows[None], network)[0].numpy()
