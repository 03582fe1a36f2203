"""Multi-layer probes: networks with one hidden ReLU layer for many matrices and row subsets at once.

The networks are stacked parameters, trained together with Adam on mini-batches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

BATCH_SIZE, EPOCHS, MIN_STEPS, LEARNING_RATE, EVALUATIONS = 256, 20, 120, 0.01, 6


def fit_perceptron(
    x: torch.Tensor,
    label: torch.Tensor,
    used: torch.Tensor,
    classes: int,
    l2: float,
    hidden: int,
    widths: Sequence[int],
    seed: int,
) -> list[torch.Tensor]:
    """Fit for 20 epochs (at least 120 steps) and keep the weights with the smallest loss on the rows not fitted on.

    Adam with a cosine learning-rate schedule from 0.01 to 0; the loss on the remaining rows is evaluated six times.

    Args:
        x: float32 ``[G, N, F]``, z-scored; the last column is ones, and its weights are the hidden layer's intercepts.
        label: int64 ``[N]``, 0 to ``classes - 1``.
        used: float32 ``[R, N]``, 1 for the rows that a repeat fits on, else 0.
        classes: number of classes.
        l2: strength of the penalty ``l2 / 2 * ||W||^2`` added to the summed cross-entropy.
        hidden: width of the hidden layer.
        widths: widths of the matrices before padding.
        seed: random seed of the initialization and of the order of rows; equal widths get the same initialization.

    Returns:
        ``[G, R, F, hidden]``, ``[G, R, hidden, classes]`` and ``[G, R, 1, classes]``, for ``perceptron_logits``.
    """
    import torch
    from torch.optim.adam import adam

    rows, repeats, kept = x.shape[1], len(used), used[0].sum()
    weights = _initial_weights(widths, x.shape[2], repeats, hidden, classes, seed)
    # torch.optim.Adam as a function: the first object of the class imports torch's compiler, 150 MB and 1 to 3 seconds
    means, squares = ([torch.zeros_like(w) for w in weights] for _ in range(2))
    counts = [torch.tensor(0.0) for _ in weights]
    batch = min(BATCH_SIZE, rows)
    steps = max(MIN_STEPS, EPOCHS * rows // batch)
    generator = torch.Generator().manual_seed(seed)
    best, least = [w.detach().clone() for w in weights], torch.full((len(x), repeats), torch.inf)
    queue = torch.empty(0, dtype=torch.int64)
    for step in range(1, steps + 1):
        if len(queue) < batch:
            queue = torch.cat([queue, torch.randperm(rows, generator=generator)])
        index, queue = queue[:batch], queue[batch:]
        losses = _losses(perceptron_logits(x[:, index], weights), label[index])
        penalty = weights[0][:, :, :-1].square().sum() + weights[1].square().sum()
        loss = ((losses * used[:, index]).sum() * (rows / batch) + l2 / 2 * penalty) / kept
        gradients = list(torch.autograd.grad(loss, weights))
        rate = LEARNING_RATE * (1 + math.cos(math.pi * (step - 1) / steps)) / 2
        with torch.no_grad():
            adam(
                weights, gradients, means, squares, [], counts, foreach=False, lr=rate, beta1=0.9, beta2=0.999,
                eps=1e-8, weight_decay=0.0, amsgrad=False, maximize=False,
            )  # fmt: skip
        if step % (steps // EVALUATIONS) == 0 or step == steps:
            with torch.no_grad():
                unseen = (_losses(perceptron_logits(x, weights), label) * (1 - used)).sum(dim=2)
                better = unseen <= least
                for keep, w in zip(best, weights, strict=True):
                    keep[better] = w[better]
                least = torch.minimum(least, unseen)
    return best


def perceptron_logits(x: torch.Tensor, weights: Sequence[torch.Tensor]) -> torch.Tensor:
    """Compute logits ``[G, R, N, classes]`` from features ``[G, N, F]``."""
    first, second, intercept = weights
    repeats, width, units = first.shape[1:]
    flat = first.transpose(1, 2).reshape(-1, width, repeats * units)  # one product for all repeats
    hidden = (x @ flat).unflatten(2, (repeats, units)).relu()
    return hidden.transpose(1, 2) @ second + intercept


def _losses(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Cross-entropies ``[G, R, N]``."""
    index = label.expand(*logits.shape[:2], -1).unsqueeze(3)
    return logits.logsumexp(dim=3) - logits.gather(3, index).squeeze(3)


def _initial_weights(
    widths: Sequence[int], padded: int, repeats: int, hidden: int, classes: int, seed: int
) -> list[torch.Tensor]:
    """He initialization for each matrix by its own width; weights of the padding and intercepts start at 0."""
    import torch

    first = torch.zeros(len(widths), repeats, padded, hidden)
    second = torch.zeros(len(widths), repeats, hidden, classes)
    for i, width in enumerate(widths):
        generator = torch.Generator().manual_seed(seed)
        first[i, :, :width] = torch.randn(repeats, width, hidden, generator=generator) * (2 / width) ** 0.5
        second[i] = torch.randn(repeats, hidden, classes, generator=generator) / hidden**0.5
    intercept = torch.zeros(len(widths), repeats, 1, classes)
    return [w.requires_grad_() for w in (first, second, intercept)]
