"""Feature matrices made ready for fitting: checked, z-scored, padded to one width, in groups that fit memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ffprobe.errors import FileError


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
        raise FileError("No image is held out, so no classifier can be scored.", do="Train with validation images.")
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


def standardize(matrix: Any, held: np.ndarray, name: str) -> np.ndarray:
    """Z-scores by the mean and standard deviation of the rows to fit on; what is constant there becomes 0.

    Args:
        matrix: float ``[N, F]``, or anything that ``numpy.asarray`` reads.
        held: bool ``[N]``, rows whose statistics must not be looked at.
        name: of the matrix, for the error.

    Returns:
        Float32 ``[N, F]``.

    Raises:
        FileError: there is a NaN or an infinity; the sentence names the matrix.
    """
    x = np.asarray(matrix, np.float32)
    finite = np.isfinite(x).all(axis=1)
    if not finite.all():
        what = f"The features hold NaN or infinity for {int((~finite).sum())} of {len(x)} images."
        raise FileError(what, where=name, do="The run diverged there: look at its losses and its learning rate.")
    fit = x[~held].astype(np.float64)  # sums of float32 are exact in it, so a constant has a deviation of exactly 0
    deviation = fit.std(axis=0)
    inverse = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    return ((x - fit.mean(axis=0)) * inverse).astype(np.float32)


def stack(matrices: Sequence[np.ndarray]) -> np.ndarray:
    """Float32 ``[G, N, max F + 1]``: narrow matrices padded with zeros, and a last column of ones for the intercept."""
    padded = np.zeros((len(matrices), len(matrices[0]), max(m.shape[1] for m in matrices) + 1), np.float32)
    for row, matrix in zip(padded, matrices, strict=True):
        row[:, : matrix.shape[1]] = matrix
    padded[:, :, -1] = 1
    return padded
