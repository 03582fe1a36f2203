"""One array of a run file, read on demand and never past the last commit."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from ffprobe.errors import FileError, UsageError
from ffprobe.store.attributes import read_attributes
from ffprobe.store.contents import dtype_name
from ffprobe.store.hdf5_errors import HDF5_FAILURES, file_error
from ffprobe.store.stored import written_regions
from ffprobe.store.text_labels import read_text

if TYPE_CHECKING:
    import pandas
    import xarray
    from rich.text import Text

SPARSE = 4
"""A list of indices is read one by one if it contains less than 1/SPARSE of the range it spans."""


class RecordedArray:
    """An array in a run file; nothing is read until it is indexed.

    Indexing follows numpy (integers, slices, ``...``, at most one list of indices or mask) and reads only the requested
    part. Numbers have the machine's byte order; labels are an object array of str.

    Args:
        path: path of the array in the file.
        dataset: the HDF5 dataset.
        dims: names of its dimensions.
        length: committed length of the first axis; None if the array does not grow.
        limit: maximum memory of one read, in bytes.
        filename: path of the file, for messages.
        sibling: function that returns another array of the same group by name, or None if there is none.
    """

    def __init__(
        self,
        path: str,
        dataset: h5py.Dataset,
        dims: tuple[str, ...],
        length: int | None,
        limit: int,
        filename: str,
        sibling: Callable[[str], RecordedArray | None],
    ) -> None:
        self.path, self.dims = path, dims
        self._dataset, self._limit, self._filename, self._sibling = dataset, limit, filename, sibling
        shape = tuple(int(n) for n in dataset.shape)
        self.shape: tuple[int, ...] = shape if length is None else (length, *shape[1:])
        self._text = dtype_name(dataset) == "str"
        self.dtype: np.dtype[Any] = np.dtype(object) if self._text else dataset.dtype.newbyteorder("=")
        attributes = read_attributes(dataset)
        self.units = str(attributes.pop("units", ""))
        self.long_name = str(attributes.pop("long_name", ""))
        self.attributes = attributes

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def is_open(self) -> bool:
        """Whether the array's run file is open."""
        return bool(self._dataset)

    @property
    def coordinates(self) -> dict[str, RecordedArray]:
        """The labels of each axis (epochs, layers, class names ...), by name of the dimension; read on demand."""
        if not self.is_open:
            return {}
        own = self.path.rpartition("/")[2]
        scales = {name: self if name == own else self._sibling(name) for name in self.dims}
        return {name: scale for name, scale in scales.items() if scale is not None}

    def to_xarray(self) -> xarray.DataArray:
        """The array with its labels and units; values are read on demand, so keep the run open.

        Raises:
            UsageError: xarray is not installed.
        """
        from ffprobe.store.labelled import data_array

        return data_array(self)

    def to_pandas(self) -> pandas.Series[Any] | pandas.DataFrame:
        """The array with its labels, read in full: a DataFrame for two axes, otherwise a Series.

        For more than two axes the Series has an index with one level per axis.

        Raises:
            UsageError: pandas is not installed.
            FileError: as in indexing.
        """
        from ffprobe.store.labelled import series_or_frame

        return series_or_frame(self)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"{self.path} is a scalar and has no length.")
        return self.shape[0]

    def __repr__(self) -> str:
        return (
            f"<{self.path} {self.dtype} ({', '.join(f'{n}: {s}' for n, s in zip(self.dims, self.shape, strict=True))})>"
        )

    def __rich__(self) -> Text:
        from ffprobe.store.array_view import terminal_view

        return terminal_view(self)

    def _repr_html_(self) -> str:
        from ffprobe.store.array_view import notebook_view

        return notebook_view(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError(f"{self.path} is in a file and cannot be converted without a copy.")
        return np.asarray(self[...], dtype=dtype)

    def __getitem__(self, key: Any) -> Any:
        """Read a part.

        Raises:
            IndexError: as in numpy.
            UsageError: the run file was closed.
            FileError: the part is larger than the limit, or HDF5 cannot read it.
        """
        if not self.is_open:  # h5py's error for a closed file reads like one for a damaged file
            raise closed(self._filename)
        reads, then, count = [], [], 1
        for index, length in zip(_expand(key, self.ndim, self.path), self.shape, strict=True):
            read, after = _plan(index, length, self.path)
            reads.append(read)
            then += [] if isinstance(read, int) else [after]
            count *= _width(read)
        if sum(isinstance(read, list) for read in reads) > 1 or sum(isinstance(t, np.ndarray) for t in then) > 1:
            raise IndexError(f"{self.path}: only one axis may be indexed by a list or mask at a time.")
        self._check(count)
        try:
            part = self._read_text(reads) if self._text else self._dataset[tuple(reads)]
        except HDF5_FAILURES as error:
            raise file_error(error, self._filename, f"{self.path} could not be read") from error
        for axis, after in enumerate(then):
            if after is not None:
                part = part[(slice(None),) * axis + (after,)]
        if isinstance(part, (np.ndarray, np.generic)) and not self._text:
            part = part.astype(self.dtype, copy=False)
        return part

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """The array in blocks of at most ``rows`` rows of the first axis, in order.

        Raises:
            ValueError: the array is a scalar, or ``rows`` is not positive.
            FileError: as in indexing.
        """
        if not self.shape or rows < 1:
            raise ValueError(f"{self.path} has shape {self.shape} and cannot be read in blocks of {rows} rows.")
        for start in range(0, self.shape[0], rows):
            yield self[start : start + rows]

    def written_regions(self) -> list[tuple[slice, ...]] | None:
        """The parts of the array that were written, one for each chunk; None if all of it was.

        Elements outside them have the fill value, and take no space in the file.

        Raises:
            FileError: HDF5 cannot read the index of the chunks.
        """
        try:
            return written_regions(self._dataset, self.shape[0] if self.shape else None)
        except HDF5_FAILURES as error:
            raise file_error(error, self._filename, f"{self.path} could not be read") from error

    def _read_text(self, reads: list[Any]) -> Any:
        if self.ndim != 1 or isinstance(reads[0], int):
            return self._dataset.asstr(errors="replace")[tuple(reads)]
        read = reads[0]
        indices = range(read.start, read.stop, read.step or 1) if isinstance(read, slice) else read
        return read_text(self.path, self._dataset, indices)

    def _check(self, count: int) -> None:
        # an object array takes a pointer and a str per element
        nbytes = count * (64 if self._text else self.dtype.itemsize)
        if nbytes > self._limit:
            raise FileError(
                f"{self.path} would take {nbytes / 2**30:.1f} GiB of memory; the limit is {self._limit / 2**30:.1f} "
                "GiB.",
                where=self._filename,
                hint="Read a part of it, by indexing or with blocks().",
            )


def closed(filename: str) -> UsageError:
    """The error for a read from a run file that was closed."""
    hint = "Read the data before the file is closed, or open it again."
    return UsageError("The run file was closed.", where=filename, hint=hint)


def _expand(key: Any, ndim: int, path: str) -> list[Any]:
    keys = list(key) if isinstance(key, tuple) else [key]
    dots = [i for i, k in enumerate(keys) if k is Ellipsis]
    if len(dots) > 1 or len(keys) - len(dots) > ndim:
        raise IndexError(f"{path} has {ndim} dimensions; it cannot be indexed by {key!r}.")
    at = dots[0] if dots else len(keys)
    missing = ndim - (len(keys) - len(dots))
    return keys[:at] + [slice(None)] * missing + keys[at + 1 :]


def _plan(index: Any, length: int, path: str) -> tuple[int | slice | list[int], Any]:
    """The selection that HDF5 reads along one axis, and the numpy index to apply to the result (None: no index)."""
    if isinstance(index, slice):
        wanted = range(*index.indices(length))
        if not wanted:
            return slice(0, 0), None
        if wanted.step < 0:
            return slice(wanted[-1], wanted[0] + 1, -wanted.step), slice(None, None, -1)
        return slice(wanted[0], wanted[-1] + 1, wanted.step), None
    if isinstance(index, (list, np.ndarray, range)) and np.ndim(index):
        return _plan_list(np.asarray(index), length, path)
    try:
        at = operator.index(index)
    except TypeError as error:
        raise IndexError(f"{path} cannot be indexed by {index!r}.") from error
    return _inside(np.array([at]), length, path)[0].item(), None


def _plan_list(index: np.ndarray, length: int, path: str) -> tuple[slice | list[int], Any]:
    if index.ndim != 1 or (index.dtype.kind not in "biu" and index.size):
        raise IndexError(f"{path} cannot be indexed by {index!r}.")
    if index.dtype.kind == "b":
        if len(index) != length:
            raise IndexError(f"{path}: a mask of length {len(index)} for an axis of length {length}.")
        index = np.flatnonzero(index)
    if not index.size:
        return slice(0, 0), np.zeros(0, int)
    unique, back = np.unique(_inside(index, length, path), return_inverse=True)
    low, high = int(unique[0]), int(unique[-1]) + 1
    if len(unique) * SPARSE < high - low:
        return [int(i) for i in unique], back
    return slice(low, high), (unique - low)[back]


def _inside(index: np.ndarray, length: int, path: str) -> np.ndarray:
    index = index.astype(np.int64)
    bad = index[(index < -length) | (index >= length)]
    if bad.size:
        raise IndexError(f"{path}: index {bad[0]} is out of bounds for an axis of length {length}.")
    return np.where(index < 0, index + length, index)


def _width(read: int | slice | list[int]) -> int:
    if isinstance(read, slice):
        return len(range(read.start or 0, read.stop, read.step or 1))
    return 1 if isinstance(read, int) else len(read)
