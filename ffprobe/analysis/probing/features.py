"""Preparation of feature matrices for fitting: checks, block-wise reading, z-scoring, grouping by memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ffprobe.errors import FileError

BLOCK = 1 << 24
"""Number of bytes of float32 that are read and processed at once."""


def check_rows(features: Sequence[Any], target: np.ndarray, held: np.ndarray, names: Sequence[str]) -> None:
    """Check, before anything is read, that a classifier can be fitted.

    Args:
        features: matrices ``[N, F_i]``.
        target: integers ``[N]``.
        held: bool ``[N]``.
        names: names of the matrices, for error messages.

    Raises:
        FileError: a shape differs, no row is held out, or fewer than two classes are left to fit on.
    """
    for matrix, name in zip(features, names, strict=True):
        if len(matrix.shape) != 2 or not matrix.shape[0] == len(target) == len(held) or not matrix.shape[1]:
            sizes = f"shape {tuple(matrix.shape)} for {len(target)} labels and {len(held)} held-out flags"
            raise FileError(f"The shapes of features and labels do not match: {sizes}.", where=name)
    if not held.any():
        raise FileError("No image is held out, so no classifier can be scored.", hint="Train with validation images.")
    count = len(np.unique(target[~held]))
    if count < 2:
        raise FileError(f"A classifier needs at least two classes, but the images to fit on have {count}.")


def groups(widths: Sequence[int], rows: int, memory: int) -> Iterator[list[int]]:
    """Yield the indices of matrices to pad and fit together, of similar width to keep the padding small.

    Args:
        widths: number of columns of each matrix.
        rows: number of rows of every matrix.
        memory: maximum number of bytes of one padded float32 stack; a larger matrix forms a group by itself.
    """
    group: list[int] = []
    for i in sorted(range(len(widths)), key=lambda i: -widths[i]):
        if group and (len(group) + 1) * widths[group[0]] * rows * 4 > memory:
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def row_blocks(matrix: Any, name: str) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield a matrix in float32 blocks of some megabytes, each with the slice of its rows.

    Args:
        matrix: ``[N, F]``: anything with a ``shape`` that has ``blocks(rows)``, as recorded arrays do, or that
            ``numpy.asarray`` reads.
        name: name of the matrix, for the error message.

    Raises:
        FileError: the matrix contains NaN or infinity; the message names the matrix.
    """
    rows = max(1, BLOCK // (4 * matrix.shape[1]))
    if hasattr(matrix, "blocks"):
        blocks = matrix.blocks(rows)
    else:
        array = np.asarray(matrix)
        blocks = (array[start : start + rows] for start in range(0, len(array), rows))
    start = 0
    for block in blocks:
        x = np.asarray(block, np.float32)
        if not np.isfinite(x).all():
            bad = int((~np.isfinite(x)).any(axis=1).sum())
            what = f"The features contain NaN or infinity for {bad} of {len(x)} images from image {start}."
            raise FileError(what, where=name, hint="The run diverged: check its losses and its learning rate.")
        yield slice(start, start + len(x)), x
        start += len(x)


def standardize(matrix: Any, held: np.ndarray, name: str, fit: np.ndarray, score: np.ndarray) -> None:
    """Z-score a matrix with the mean and standard deviation of the fit rows; features constant there become 0.

    The results are computed in place, block by block, so that no copy of the matrix is made.

    Args:
        matrix: float ``[N, F]``, as ``row_blocks`` reads it.
        held: bool ``[N]``, rows that must not contribute to the statistics.
        name: name of the matrix, for the error message.
        fit: float32 ``[rows not held, F]``, the output for the fit rows.
        score: float32 ``[rows held, F]``, the output for the held-out rows.

    Raises:
        FileError: as ``row_blocks``.
    """
    a = b = 0
    for rows, x in row_blocks(matrix, name):
        chosen = held[rows]
        new_a, new_b = a + int((~chosen).sum()), b + int(chosen.sum())
        np.compress(~chosen, x, axis=0, out=fit[a:new_a])
        np.compress(chosen, x, axis=0, out=score[b:new_b])
        a, b = new_a, new_b
    shift = fit[0].copy()  # a constant feature is exactly 0 after the shift, however its mean is rounded
    total, squares = np.zeros((2, len(shift)))
    for part in _parts(fit):
        part -= shift
        total += part.sum(axis=0)
    mean = (total / len(fit)).astype(np.float32)
    for part in _parts(fit):
        part -= mean
        squares += np.einsum("nf,nf->f", part, part)
    deviation = np.sqrt(squares / len(fit))
    # a deviation below the smallest normal float32 has no finite inverse; such a feature counts as constant
    varies = deviation > np.finfo(np.float32).tiny
    inverse = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=varies).astype(np.float32)
    for part in _parts(fit):
        part *= inverse
    for part in _parts(score):
        part -= shift
        part -= mean
        part *= inverse


def _parts(matrix: np.ndarray) -> Iterator[np.ndarray]:
    """Blocks of rows that fit into the processor's cache; sums are float32 within a block, float64 across blocks."""
    step = max(1, (1 << 18) // max(1, matrix.shape[1]))
    return (matrix[start : start + step] for start in range(0, len(matrix), step))
