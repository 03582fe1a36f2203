"""Rows on their way to the file: checked at once, written together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import h5py
import numpy as np

from ffprobe.store.commits import grows
from ffprobe.store.layout import FILL

MOST_BYTES = 1 << 22
"""Rows of a group are written when they reach 4 MiB, and at every commit."""


def as_array(path: str, value: object) -> np.ndarray:
    """The value as numpy sees it; raises ValueError, beginning with the path, for a ragged list or a GPU's tensor."""
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: {str(error)[:200]}") from error


def fitted(path: str, value: object, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """A copy of the value in the shape and type of the file.

    Raises:
        ValueError: another shape, text for numbers, fractions or too large numbers for a whole-number array; the
            message begins with the path.
    """
    array = as_array(path, value)
    if array.shape != shape:
        raise ValueError(f"{path}: the shape must be {shape}, not {array.shape}.")
    if array.dtype.kind not in ("biuf" if dtype.kind == "f" else "biu"):
        raise ValueError(f"{path}: {array.dtype} numbers do not go into {dtype}.")
    if dtype.kind in "iu" and array.size:
        least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
        if int(array.min()) < least or int(array.max()) > most:
            raise ValueError(f"{path}: {dtype} holds {least} to {most}, not {array.min()} to {array.max()}.")
    with np.errstate(over="ignore"):  # beyond f4 is inf, as everywhere in training
        return array.astype(dtype)


class GrowingGroup:
    """The arrays of one group that share a growing dimension.

    Args:
        group: its path.
        dimension: the name of the dimension that grows.
        datasets: every growing array of the group by name, the scale among them.
    """

    def __init__(self, group: str, dimension: str, datasets: Mapping[str, h5py.Dataset]) -> None:
        self.group, self.dimension, self._datasets = group, dimension, datasets
        self._written = int(datasets[dimension].shape[0])
        self._waiting: list[dict[str, np.ndarray]] = []
        self._rows = self._bytes = 0

    @property
    def length(self) -> int:
        """How many rows there are, waiting ones included."""
        return self._written + self._rows

    def add(self, values: Mapping[str, object], rows: int | None) -> None:
        """Take rows in; ``rows`` None is one row, given without the first axis.

        Raises:
            ValueError: an unknown name, or a value that does not fit; nothing of the call is then taken.
        """
        count = 1 if rows is None else rows
        block: dict[str, np.ndarray] = {}
        for name, value in values.items():
            dataset = self._datasets.get(name)
            path = f"{self.group}/{name}"
            if dataset is None:
                known = ", ".join(sorted(self._datasets))
                raise ValueError(f"{path} is not an array that grows; {self.group} has {known}.")
            row = dataset.shape[1:]
            shape = row if rows is None else (count, *row)
            block[name] = fitted(path, value, shape, dataset.dtype).reshape(count, *row)
        if not count:
            return
        if self.dimension not in block:
            kind = self._datasets[self.dimension].dtype
            block[self.dimension] = np.arange(self.length, self.length + count).astype(kind)
        self._waiting.append(block)
        self._rows += count
        self._bytes += sum(array.nbytes for array in block.values())

    @property
    def full(self) -> bool:
        """Whether the rows are worth writing."""
        return self._bytes >= MOST_BYTES

    def write(self) -> None:
        """Write the waiting rows; arrays without a value get their fill. Raises what HDF5 raises."""
        if not self._waiting:
            return
        start, end = self._written, self.length
        for name, dataset in self._datasets.items():
            dataset.resize(end, axis=0)
            if any(name in block for block in self._waiting):
                dataset[start:end] = np.concatenate([self._block(name, dataset, b) for b in self._waiting])
        self._written, self._rows, self._bytes = end, 0, 0
        self._waiting.clear()

    def _block(self, name: str, dataset: h5py.Dataset, block: Mapping[str, np.ndarray]) -> np.ndarray:
        if name in block:
            return block[name]
        shape = (len(block[self.dimension]), *dataset.shape[1:])
        return np.full(shape, FILL[dataset.dtype.str[1:]], dataset.dtype)


def growing_groups(datasets: Mapping[str, h5py.Dataset], dimensions: Iterable[str]) -> dict[str, GrowingGroup]:
    """The groups of a file that grow, by path, given all its datasets and the paths of its growing dimensions."""
    groups = {}
    for dimension in dimensions:
        group, _, name = dimension.rpartition("/")
        inside = {p.rpartition("/")[2]: d for p, d in datasets.items() if p.rpartition("/")[0] == group and grows(d)}
        groups[group] = GrowingGroup(group, name, inside)
    return groups


def region_shape(path: str, shape: tuple[int, ...], index: Any) -> tuple[int, ...]:
    """The shape of the part of an array that an index names, without making the array.

    Raises:
        ValueError: the index is outside; the message begins with the path.
    """
    if index is None:
        return shape
    try:
        stand_in = np.broadcast_to(np.zeros((), "u1"), shape)
        return np.shape(stand_in[index]) if math.prod(shape) else shape
    except (IndexError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


def text_row(text: str, room: int) -> np.ndarray:
    """The text as uint8 ``[room]``, UTF-8 padded with zeros, cut between two characters when it is too long."""
    kept = text.encode("utf-8", "backslashreplace")[:room].decode("utf-8", "ignore").encode()
    return np.frombuffer(kept.ljust(room, b"\0"), "u1")
