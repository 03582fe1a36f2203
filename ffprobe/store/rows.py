"""Rows to be written: each is checked immediately, and they are written together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import h5py
import numpy as np

from ffprobe.store.commits import grows
from ffprobe.store.layout import FILL

MOST_BYTES = 1 << 22
"""The rows of a group are written when they reach 4 MiB, and at every commit."""


def as_array(path: str, value: object) -> np.ndarray:
    """The value as a numpy array; raises ValueError, beginning with the path, for a ragged list or a GPU tensor."""
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: {str(error)[:200]}") from error


def fitted(path: str, value: object, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """A copy of the value with the dtype of the file.

    Raises:
        ValueError: the shape is wrong, the value is text, or an integer array gets fractions or numbers out of range;
            the message begins with the path.
    """
    array = as_array(path, value)
    if array.shape != shape:
        raise ValueError(f"{path}: the shape must be {shape}, not {array.shape}.")
    if array.dtype.kind not in ("biuf" if dtype.kind == "f" else "biu"):
        raise ValueError(f"{path}: {array.dtype} cannot be stored as {dtype}.")
    if dtype.kind in "iu" and array.size:
        least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
        if int(array.min()) < least or int(array.max()) > most:
            raise ValueError(
                f"{path}: {dtype} holds values from {least} to {most}, not {array.min()} to {array.max()}."
            )
    with np.errstate(over="ignore"):  # values beyond the range of f4 become inf, as in training
        return array.astype(dtype)


class GrowingGroup:
    """The arrays of one group that share a growing dimension.

    Args:
        group: path of the group.
        dimension: name of the growing dimension.
        datasets: every growing array of the group by name, including the scale.
    """

    def __init__(self, group: str, dimension: str, datasets: Mapping[str, h5py.Dataset]) -> None:
        self.group, self.dimension, self._datasets = group, dimension, datasets
        self._written = int(datasets[dimension].shape[0])
        self._pending: list[dict[str, np.ndarray]] = []
        self._rows = self._bytes = 0

    @property
    def length(self) -> int:
        """Number of rows, including pending ones."""
        return self._written + self._rows

    def add(self, values: Mapping[str, object], rows: int | None) -> None:
        """Add rows; None for ``rows`` means one row, given without the first axis.

        Raises:
            ValueError: a name is unknown, or a value has a wrong shape or dtype; no row is added then.
        """
        count = 1 if rows is None else rows
        block: dict[str, np.ndarray] = {}
        for name, value in values.items():
            dataset = self._datasets.get(name)
            path = f"{self.group}/{name}"
            if dataset is None:
                known = ", ".join(sorted(self._datasets))
                raise ValueError(f"{path} is not a growing array; the growing arrays of {self.group} are {known}.")
            row = dataset.shape[1:]
            shape = row if rows is None else (count, *row)
            block[name] = fitted(path, value, shape, dataset.dtype).reshape(count, *row)
        if not count:
            return
        if self.dimension not in block:
            kind = self._datasets[self.dimension].dtype
            block[self.dimension] = np.arange(self.length, self.length + count).astype(kind)
        self._pending.append(block)
        self._rows += count
        self._bytes += sum(array.nbytes for array in block.values())

    @property
    def full(self) -> bool:
        """Whether the pending rows have reached ``MOST_BYTES``."""
        return self._bytes >= MOST_BYTES

    def write(self) -> None:
        """Write the pending rows; arrays without a value get their fill value. Errors of HDF5 are not caught."""
        if not self._pending:
            return
        start, end = self._written, self.length
        for name, dataset in self._datasets.items():
            dataset.resize(end, axis=0)
            if any(name in block for block in self._pending):
                dataset[start:end] = np.concatenate([self._block(name, dataset, b) for b in self._pending])
        self._written, self._rows, self._bytes = end, 0, 0
        self._pending.clear()

    def _block(self, name: str, dataset: h5py.Dataset, block: Mapping[str, np.ndarray]) -> np.ndarray:
        if name in block:
            return block[name]
        shape = (len(block[self.dimension]), *dataset.shape[1:])
        return np.full(shape, FILL[dataset.dtype.str[1:]], dataset.dtype)


def growing_groups(datasets: Mapping[str, h5py.Dataset], dimensions: Iterable[str]) -> dict[str, GrowingGroup]:
    """The growing groups of a file by path, from all its datasets and the paths of its growing dimensions."""
    groups = {}
    for dimension in dimensions:
        group, _, name = dimension.rpartition("/")
        growing = {p.rpartition("/")[2]: d for p, d in datasets.items() if p.rpartition("/")[0] == group and grows(d)}
        groups[group] = GrowingGroup(group, name, growing)
    return groups


def region_shape(path: str, shape: tuple[int, ...], index: Any) -> tuple[int, ...]:
    """The shape of the part of an array that an index selects, without creating the array.

    Raises:
        ValueError: the index is out of range; the message begins with the path.
    """
    if index is None:
        return shape
    try:
        placeholder = np.broadcast_to(np.zeros((), "u1"), shape)
        return np.shape(placeholder[index]) if math.prod(shape) else shape
    except (IndexError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


def text_row(text: str, size: int) -> np.ndarray:
    """The text as uint8 ``[size]``, UTF-8 padded with zeros; a longer text is cut between two characters."""
    kept = text.encode("utf-8", "backslashreplace")[:size].decode("utf-8", "ignore").encode()
    return np.frombuffer(kept.ljust(size, b"\0"), "u1")
