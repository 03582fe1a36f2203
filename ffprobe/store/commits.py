"""The commit record: which rows are valid in a file that is still being written, or whose writer was killed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import h5py
import numpy as np

from ffprobe.errors import FileError
from ffprobe.store.caps import MAX_COMMITS, MAX_GROWING, MAX_RECORD
from ffprobe.store.text_labels import read_text

LENGTH, CHECKSUM, DIMENSION, COMMIT = "commit/length", "commit/checksum", "commit/dimension", "commit/commit"


def row_checksum(lengths: Sequence[int] | np.ndarray) -> int:
    """CRC-32 of one row of lengths as little-endian int64."""
    return zlib.crc32(np.asarray(lengths, dtype="<i8").tobytes())


def append_commit(datasets: Mapping[str, h5py.Dataset], lengths: Sequence[int] | np.ndarray) -> int:
    """Add a row to the record.

    Args:
        datasets: datasets by path, including those of the record.
        lengths: length of each growing dimension, in the order of ``commit/dimension``.

    Returns:
        The number of the commit, from 0. Errors of HDF5 are not caught.
    """
    at = int(datasets[LENGTH].shape[0])
    for path, value in ((COMMIT, at), (LENGTH, lengths), (CHECKSUM, row_checksum(lengths))):
        datasets[path].resize(at + 1, axis=0)
        datasets[path][at] = value
    return at


@dataclass(frozen=True)
class Commits:
    """The valid commits of a file.

    Attributes:
        dimensions: paths of the growing dimensions, such as ``metrics/epoch``.
        lengths: committed lengths, int64 ``[commits, dimensions]``, oldest first, without rows whose checksum is wrong.
    """

    dimensions: tuple[str, ...]
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    def at(self, commit: int | None = None) -> dict[str, int]:
        """The length of each growing dimension at a commit (None: the last commit; all 0 if there is none).

        Raises:
            IndexError: there is no such commit.
        """
        if commit is None:
            commit = len(self) - 1
            row = self.lengths[-1] if len(self) else np.zeros(len(self.dimensions), "i8")
        elif 0 <= commit < len(self):
            row = self.lengths[commit]
        else:
            raise IndexError(commit)
        return dict(zip(self.dimensions, (int(n) for n in row), strict=True))


def read_commits(datasets: Mapping[str, h5py.Dataset]) -> Commits:
    """Read the commit record.

    Args:
        datasets: datasets of the file, by path.

    Raises:
        FileError: the record is missing, has a wrong shape, or is longer than that of any run.
    """
    try:
        length, checksum, dimension = datasets[LENGTH], datasets[CHECKSUM], datasets[DIMENSION]
    except KeyError as error:
        raise FileError(f"The run file has no {error.args[0]}.", hint="It was not written by ffprobe.") from error
    if dimension.ndim != 1 or length.ndim != 2 or checksum.ndim != 1 or length.shape[1] != dimension.shape[0]:
        raise FileError("The run file's commit record has a wrong shape.", hint="It was not written by ffprobe.")
    rows = min(length.shape[0], checksum.shape[0])
    columns = dimension.shape[0]
    if rows > MAX_COMMITS or columns > MAX_GROWING or rows * columns > MAX_RECORD:
        raise FileError(
            f"The run file's commit record is too long: {rows:,} commits of {columns:,} growing dimensions.",
            hint=f"At most {MAX_COMMITS:,} commits and {MAX_GROWING:,} dimensions are read.",
        )
    names = tuple(str(name) for name in read_text(DIMENSION, dimension))
    lengths = np.asarray(length[:rows], dtype="i8").reshape(rows, len(names))
    sums = checksum[:rows]
    allocated = _extents(datasets)
    extents = np.array([allocated.get(name.rpartition("/")[0], 0) for name in names], dtype="i8")
    # a row beyond the extents of the arrays is invalid, like one with a wrong checksum; during a run it may be valid
    # but newer than the opened arrays, and then the commit before it counts
    within = np.all((lengths >= 0) & (lengths <= extents), axis=1)
    valid = [i for i in np.flatnonzero(within) if row_checksum(lengths[i]) == sums[i]]
    return Commits(names, lengths[valid])


def _extents(datasets: Mapping[str, h5py.Dataset]) -> dict[str, int]:
    """The length up to which all growing arrays of a group are allocated, by group."""
    extents: dict[str, int] = {}
    for path, dataset in datasets.items():
        if grows(dataset):
            group = path.rpartition("/")[0]
            extents[group] = min(extents.get(group, dataset.shape[0]), dataset.shape[0])
    return extents


def grows(dataset: h5py.Dataset) -> bool:
    """Whether the dataset's first axis is unlimited."""
    return bool(dataset.ndim) and dataset.maxshape[0] is None
