"""Classifier heads on many feature matrices at once: what a linear or a small network can read from each of them.

All matrices and repeats are trained together by batched matrix products. The repeats of one matrix share its rows and
differ by a mask, so features pass through memory once for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ffprobe.analysis.features import check_rows, groups, stack, standardize

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
    the same rows for every matrix. The linear head is multinomial logistic regression, fitted to its optimum. The
    multi-layer head has one hidden ReLU layer, a random start of its own in each repeat, and keeps the weights that had
    the smallest loss on the 20 % that it does not fit on. A matrix's accuracies do not depend on its companions but
    for the last bits of floating point.

    Args:
        features: float matrices ``[N, F_i]``, or anything with a ``shape`` that ``numpy.asarray`` reads; each is read
            once, when its group's turn comes.
        labels: integers ``[N]``.
        held_out: ``[N]``, true for the rows to score on.
        hidden: width of the hidden layer; None for the linear head.
        repeats: fits of each matrix.
        seed: of all randomness.
        l2: strength of the penalty ``l2 / 2 * ||W||^2`` beside the summed cross-entropy of the rows, scikit-learn's
            ``1 / C``; intercepts are free.
        memory: bytes that the padded features of one group may take; a matrix larger than that is fitted alone.
        names: what to call each matrix in an error; its position unless given.

    Returns:
        Float64 ``[len(features), repeats]``: the share of held-out rows that the head names rightly.

    Raises:
        FileError: a matrix holds NaN or infinity (the sentence names it), a shape differs, no row is held out, or
            fewer than two classes are left to fit on.
    """
    import torch

    from ffprobe.analysis.logistic import fit_logistic
    from ffprobe.analysis.perceptron import fit_perceptron, perceptron_logits

    target, held = np.asarray(labels).reshape(-1), np.asarray(held_out).reshape(-1) != 0
    titles = [names[i] if i < len(names) else f"matrix {i}" for i in range(len(features))]
    check_rows(features, target, held, titles)
    classes, label = np.unique(target[~held], return_inverse=True)
    generator = torch.Generator().manual_seed(seed)
    rows = len(label)
    order = torch.stack([torch.randperm(rows, generator=generator) for _ in range(repeats)])
    used = (order < max(1, round(KEPT * rows))).float()
    accuracy = np.full((len(features), repeats), np.nan)
    for group in groups([m.shape[1] for m in features], len(target), memory):
        matrices = [standardize(features[i], held, titles[i]) for i in group]
        x = stack(matrices)
        fit, score = torch.from_numpy(x[:, ~held]), torch.from_numpy(x[:, held])
        fixed = (fit, torch.from_numpy(label), used, len(classes), l2)
        with torch.no_grad():
            if hidden is None:
                weights = fit_logistic(*fixed)
                logits = (score @ weights.flatten(2)).unflatten(2, weights.shape[2:]).transpose(1, 2)
            else:
                with torch.enable_grad():
                    network = fit_perceptron(*fixed, hidden, [m.shape[1] for m in matrices], seed)
                logits = perceptron_logits(score, network)
        named = classes[logits.argmax(dim=3).numpy()]  # [G, R, held]
        accuracy[group] = (named == target[held]).mean(axis=2)
    return accuracy
