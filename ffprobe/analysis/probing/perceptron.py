"""Networks with one hidden ReLU layer for many matrices and row subsets at once, by Adam on mini-batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

BATCH, PASSES, LEAST_STEPS, RATE, LOOKS = 256, 20, 120, 0.01, 6


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
    """Fit for 20 passes (at least 120 steps); keep the weights with the smallest loss on the rows that are not used.

    Args:
        x: float32 ``[G, N, F]``, z-scored, the last column ones: its weights are the hidden layer's intercepts.
        label: int64 ``[N]``, 0 to ``classes - 1``.
        used: float32 ``[R, N]``, 1 for the rows that a repeat fits on, else 0.
        classes: how many.
        l2: strength of the penalty ``l2 / 2 * ||W||^2`` beside the summed cross-entropy.
        hidden: width of the hidden layer.
        widths: of the matrices before they were padded.
        seed: of the starts and of the order of rows; the same start for equal widths.

    Returns:
        ``[G, R, F, hidden]``, ``[G, R, hidden, classes]`` and ``[G, R, 1, classes]``, for ``perceptron_logits``.
    """
    import torch

    rows, repeats, kept = x.shape[1], len(used), used[0].sum()
    weights = _start(widths, x.shape[2], repeats, hidden, classes, seed)
    # Adam written out: torch.optim's loads torch's compiler, 150 MB of memory, with the first optimizer
    moments = [(torch.zeros_like(w), torch.zeros_like(w)) for w in weights]
    batch = min(BATCH, rows)
    steps = max(LEAST_STEPS, PASSES * rows // batch)
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
        gradients = torch.autograd.grad(loss, weights)
        rate = RATE * (1 + math.cos(math.pi * (step - 1) / steps)) / 2
        with torch.no_grad():
            for w, (mean, square), gradient in zip(weights, moments, gradients, strict=True):
                mean.lerp_(gradient, 0.1)
                square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
                root = (square / (1 - 0.999**step)).sqrt_().add_(1e-8)
                w.addcdiv_(mean, root, value=-rate / (1 - 0.9**step))
        if step % (steps // LOOKS) == 0 or step == steps:
            with torch.no_grad():
                unseen = (_losses(perceptron_logits(x, weights), label) * (1 - used)).sum(dim=2)
                better = unseen <= least
                for keep, w in zip(best, weights, strict=True):
                    keep[better] = w[better]
                least = torch.minimum(least, unseen)
    return best


def perceptron_logits(x: torch.Tensor, weights: Sequence[torch.Tensor]) -> torch.Tensor:
    """Features ``[G, N, F]`` to logits ``[G, R, N, classes]``."""
    first, second, intercept = weights
    repeats, width, units = first.shape[1:]
    flat = first.transpose(1, 2).reshape(-1, width, repeats * units)  # one product for all repeats
    hidden = (x @ flat).unflatten(2, (repeats, units)).relu()
    return hidden.transpose(1, 2) @ second + intercept


def _losses(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Cross-entropies ``[G, R, N]``."""
    index = label.expand(*logits.shape[:2], -1).unsqueeze(3)
    return logits.logsumexp(dim=3) - logits.gather(3, index).squeeze(3)


def _start(widths: Sequence[int], width: int, repeats: int, hidden: int, classes: int, seed: int) -> list[torch.Tensor]:
    """He's start for each matrix by its own width; padding and intercepts start at 0."""
    import torch

    first = torch.zeros(len(widths), repeats, width, hidden)
    second = torch.zeros(len(widths), repeats, hidden, classes)
    for i, own in enumerate(widths):
        generator = torch.Generator().manual_seed(seed)
        first[i, :, :own] = torch.randn(repeats, own, hidden, generator=generator) * (2 / own) ** 0.5
        second[i] = torch.randn(repeats, hidden, classes, generator=generator) / hidden**0.5
    intercept = torch.zeros(len(widths), repeats, 1, classes)
    return [w.requires_grad_() for w in (first, second, intercept)]
