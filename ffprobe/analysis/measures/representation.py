"""Statistics of a layer's activations: dead units, sparsity, class selectivity, dimensionality, class separation."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ffprobe.analysis.probing.features import row_blocks


@dataclass(frozen=True)
class Representation:
    """Statistics of one feature matrix; NaN for a number that is not defined.

    Attributes:
        dead: fraction of units that are 0 for every image.
        constant: fraction of units that have the same value for every image, 0 or another.
        active: fraction of non-zero activations.
        hoyer: Hoyer's sparsity of an image's activations, mean over images that are not all 0: 0 if all units are
            equally strong, 1 if only one unit is active (Hoyer 2004, equation 1).
        class_entropy: entropy of the distribution of a unit's mean absolute activation over the classes, divided by
            that of a uniform distribution, mean over units that are not dead: 0 for a unit that responds to one class
            only, 1 for a unit that responds to all classes equally.
        effective_rank: ``exp`` of the entropy of the normalized eigenvalues of the covariance (Roy and Vetterli 2007).
        participation_ratio: ``(sum of eigenvalues)^2 / sum of their squares``.
        fisher_ratio: trace of the scatter between classes divided by that within classes, ``tr S_b / tr S_w``, with
            classes weighted by their number of images.
        nearest_mean: fraction of held-out images whose nearest (Euclidean) class mean is that of their own class; the
            means are those of the other images.
    """

    dead: float
    constant: float
    active: float
    hoyer: float
    class_entropy: float
    effective_rank: float
    participation_ratio: float
    fisher_ratio: float
    nearest_mean: float


SMALL = 1024
"""Width of a covariance up to which several threads take longer for its eigenvalues than one."""
NAMES = tuple(field.name for field in fields(Representation))


def describe_representation(features: Any, labels: Any, held_out: Any, name: str = "features") -> Representation:
    """Compute the statistics of a feature matrix, from all images except for ``nearest_mean``.

    The matrix is read twice in blocks; the covariance is summed in float64, ``[units, units]``, around the mean of the
    first block.

    Args:
        features: float ``[N, units]``: an array, or anything with a ``shape`` and ``blocks(rows)``.
        labels: integers ``[N]``.
        held_out: ``[N]``, true for the images that ``nearest_mean`` scores.
        name: name of the matrix, for the error message.

    Raises:
        FileError: the matrix contains NaN or infinity; the message names the matrix.
    """
    target, held = np.asarray(labels).reshape(-1), np.asarray(held_out).reshape(-1) != 0
    classes, label = np.unique(target, return_inverse=True)
    n, width = features.shape
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    absolute, sums, fit_sums = np.zeros((3, len(classes), width))
    scatter, shift, hoyer, active = np.zeros((width, width)), None, [], 0
    for rows, block in row_blocks(features, name):
        member = np.eye(len(classes))[label[rows]].T  # [K, rows]
        low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
        size = np.abs(block)
        active += int(np.count_nonzero(block))
        hoyer.append(_hoyer(size))
        absolute += member @ size
        x = block.astype(np.float64)
        shift = x.mean(axis=0) if shift is None else shift
        x -= shift
        sums += member @ x
        fit_sums += (member * ~held[rows]) @ x
        scatter += x.T @ x
    counts = np.bincount(label)
    mean = sums.sum(axis=0) / n
    covariance = scatter / n - np.outer(mean, mean)
    moving = high > low
    covariance[~moving] = covariance[:, ~moving] = 0  # exactly 0 despite rounding
    dead = (low == 0) & (high == 0)
    rank, ratio = _dimensions(covariance)
    return Representation(
        dead=float(dead.mean()),
        constant=float((~moving).mean()),
        active=active / (n * width),
        hoyer=_mean(np.concatenate(hoyer)),
        class_entropy=_class_entropy(absolute[:, ~dead] / counts[:, None]),
        effective_rank=rank,
        participation_ratio=ratio,
        fisher_ratio=_fisher(sums / counts[:, None] - mean, counts, float(np.trace(covariance))),
        nearest_mean=_nearest_mean(features, label, held, fit_sums, shift, name),
    )


def _hoyer(size: np.ndarray) -> np.ndarray:
    """Sparsity of each row that is not all 0; empty for a single unit."""
    width = size.shape[1]
    if width < 2:
        return np.zeros(0)
    rows = size[size.any(axis=1)].astype(np.float64)
    return np.asarray((width**0.5 - rows.sum(axis=1) / np.sqrt(np.square(rows).sum(axis=1))) / (width**0.5 - 1))


def _class_entropy(strength: np.ndarray) -> float:
    """Normalized class entropy from ``[classes, units]``, mean absolute activations of units that are not dead."""
    if len(strength) < 2 or not strength.shape[1]:
        return float("nan")
    share = strength / strength.sum(axis=0)
    terms = np.where(share > 0, share * np.log(np.where(share > 0, share, 1)), 0)
    return float((-terms.sum(axis=0) / np.log(len(strength))).mean())


def _dimensions(covariance: np.ndarray) -> tuple[float, float]:
    """Effective rank and participation ratio; NaN if nothing varies."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1 if len(covariance) <= SMALL else None):
        values = np.linalg.eigvalsh(covariance).clip(min=0)
    if not values.any():
        return float("nan"), float("nan")
    share = values[values > 0] / values.sum()
    return float(np.exp(-(share * np.log(share)).sum())), float(1 / np.square(share).sum())


def _fisher(centres: np.ndarray, counts: np.ndarray, total: float) -> float:
    """Fisher ratio from centred class means; NaN for one class or no scatter, infinite without scatter within."""
    between = float((counts[:, None] * np.square(centres)).sum() / counts.sum())
    within = total - between
    if len(counts) < 2 or total <= 0:
        return float("nan")
    return between / within if within > 1e-12 * total else float("inf")


def _nearest_mean(
    features: Any, label: np.ndarray, held: np.ndarray, sums: np.ndarray, shift: np.ndarray | None, name: str
) -> float:
    counts = np.bincount(label[~held], minlength=len(sums))
    known = counts > 0
    if not held.any() or known.sum() < 2 or shift is None:
        return float("nan")
    means, right = sums[known] / counts[known, None], 0
    for rows, block in row_blocks(features, name):
        chosen = held[rows]
        if chosen.any():
            x = block[chosen].astype(np.float64) - shift
            nearest = (x @ means.T - np.square(means).sum(axis=1) / 2).argmax(axis=1)
            right += int((np.flatnonzero(known)[nearest] == label[rows][chosen]).sum())
    return right / int(held.sum())


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
