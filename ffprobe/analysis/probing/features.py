"""Feature matrices made ready for fitting: checked, read in blocks, z-scored, in groups that fit memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ffprobe.errors import FileError

BLOCK = 1 << 24
"""Bytes of float32 that are read and worked on at once."""


def check_rows(features: Sequence[Any], target: np.ndarray, held: np.ndarray, names: Sequence[str]) -> None:
    """Refuse what no classifier can be fitted on, before anything is read.

    Args:
        features: matrices ``[N, F_i]``.
        target: integers ``[N]``.
        held: bool ``[N]``.
        names: of the matrices.

    Raises:
        FileError: a shape differs, no row is held out, or fewer than two classes are left to fit on.
    """
    for matrix, name in zip(features, names, strict=True):
        if len(matrix.shape) != 2 or not matrix.shape[0] == len(target) == len(held) or not matrix.shape[1]:
            found = f"shape {tuple(matrix.shape)} for {len(target)} labels and {len(held)} held-out flags"
            raise FileError(f"Features and labels do not belong together: {found}.", where=name)
    if not held.any():
        raise FileError("No image is held out, so no classifier can be scored.", hint="Train with validation images.")
    count = len(np.unique(target[~held]))
    if count < 2:
        raise FileError(f"A classifier needs at least two classes to fit on, and the images to fit on show {count}.")


def groups(widths: Sequence[int], rows: int, memory: int) -> Iterator[list[int]]:
    """Indices of matrices to pad and fit together, of like width so that little is padding.

    Args:
        widths: of the matrices, in numbers a row.
        rows: of every matrix.
        memory: bytes that one padded float32 stack may take; a matrix larger than that makes a group alone.
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
    """A matrix in pieces of some megabytes, each float32 with the rows that it holds.

    Args:
        matrix: ``[N, F]``: anything with a ``shape`` that has ``blocks(rows)``, as recorded arrays do, or that
            ``numpy.asarray`` reads.
        name: of the matrix, for the error.

    Raises:
        FileError: there is a NaN or an infinity; the sentence names the matrix.
    """
    rows = max(1, BLOCK // (4 * matrix.shape[1]))
    if hasattr(matrix, "blocks"):
        pieces = matrix.blocks(rows)
    else:
        whole = np.asarray(matrix)
        pieces = (whole[start : start + rows] for start in range(0, len(whole), rows))
    start = 0
    for piece in pieces:
        x = np.asarray(piece, np.float32)
        if not np.isfinite(x).all():
            bad = int((~np.isfinite(x)).any(axis=1).sum())
            what = f"The features hold NaN or infinity for {bad} of {len(x)} images from image {start}."
            raise FileError(what, where=name, hint="The run diverged there: look at its losses and its learning rate.")
        yield slice(start, start + len(x)), x
        start += len(x)


def standardize(matrix: Any, held: np.ndarray, name: str, fit: np.ndarray, score: np.ndarray) -> None:
    """Z-scores by the mean and standard deviation of the rows to fit on; what is constant there becomes 0.

    Args:
        matrix: float ``[N, F]``, as ``row_blocks`` reads it.
        held: bool ``[N]``, rows whose statistics must not be looked at.
        name: of the matrix, for the error.
        fit: float32 ``[rows not held, F]`` to be filled.
        score: float32 ``[rows held, F]`` to be filled.

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
    shift = fit[0].copy()  # what is constant is exactly 0 after it, whatever its mean is rounded to
    total, squares = np.zeros((2, len(shift)))
    for part in _parts(fit):
        part -= shift
        total += part.sum(axis=0)
    mean = (total / len(fit)).astype(np.float32)
    for part in _parts(fit):
        part -= mean
        squares += np.einsum("nf,nf->f", part, part)
    deviation = np.sqrt(squares / len(fit))
    inverse = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0).astype(np.float32)
    for part in _parts(fit):
        part *= inverse
    for part in _parts(score):
        part -= shift
        part -= mean
        part *= inverse


def _parts(matrix: np.ndarray) -> Iterator[np.ndarray]:
    """Rows that fit a processor's cache; sums within them are float32, between them float64."""
    step = max(1, (1 << 18) // max(1, matrix.shape[1]))
    return (matrix[start : start + step] for start in range(0, len(matrix), step))
