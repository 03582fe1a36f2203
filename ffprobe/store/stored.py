"""Compares what a file declares with what it can store: HDF5 takes no byte for a row that was never written."""

from __future__ import annotations

import math

import h5py
import numpy as np

from ffprobe.errors import FileError
from ffprobe.store.caps import GZIP
from ffprobe.store.schema import Schema


def least_bytes(dataset: h5py.Dataset, rows: int | None = None) -> int:
    """The least number of bytes that a file needs to store an array completely.

    Args:
        dataset: the array.
        rows: number of rows of its first axis; None for its whole shape.
    """
    shape = dataset.shape if rows is None else (rows, *dataset.shape[1:])
    nbytes = math.prod(int(n) for n in shape) * dataset.dtype.itemsize
    return nbytes // GZIP if dataset.id.get_create_plist().get_nfilters() else nbytes


def check_fixed(path: str, dataset: h5py.Dataset, size: int) -> None:
    """Check that an array of fixed size fits into its file.

    A chunked array need not: chunks that were never written (the test set before the end of a run) take no space.

    Args:
        path: path of the array.
        dataset: the array.
        size: size of the file in bytes.

    Raises:
        FileError: the array has one block, which is larger than the file.
    """
    if dataset.chunks is None and (needed := least_bytes(dataset)) > size:
        raise _refused(f"{path} declares {needed:,} bytes", size)


def check_rows(path: str, scale: h5py.Dataset | None, rows: int, size: int) -> None:
    """Check that the committed rows of a group fit into the file.

    The label of the growing dimension tells, because the writer stores it for every row; it may leave out others.

    Args:
        path: path of the growing dimension.
        scale: its labels; None if they are not in the file.
        rows: number of committed rows.
        size: size of the file in bytes.

    Raises:
        FileError: the labels alone are larger than the file, or missing.
    """
    if scale is None or scale.ndim != 1:
        raise FileError(f"The growing dimension {path} has no labels.", hint="ffprobe did not write this file.")
    if least_bytes(scale, rows) > size:
        raise _refused(f"{path} declares {rows:,} rows", size)


def check_layout(schema: Schema, size: int) -> None:
    """Check that everything a rewritten file allocates at once fits into the file that declares it.

    Args:
        schema: the schema, read from the file.
        size: size of the file in bytes.

    Raises:
        FileError: the labels and the uncompressed arrays of fixed size are together larger than the file.
    """
    sizes = {d.path: d.size for d in schema.dimensions}
    total = sum((d.size or 0) * np.dtype("i4").itemsize for d in schema.dimensions)
    for v in schema.variables:
        lengths = [sizes.get(f"{v.group}/{name}") for name in v.dims]
        if not v.compress and None not in lengths:
            total += math.prod(n or 0 for n in lengths) * np.dtype(v.dtype).itemsize
    if total > size:
        raise _refused(f"The arrays of fixed size declare {total:,} bytes", size)


def written_regions(dataset: h5py.Dataset, rows: int | None) -> list[tuple[slice, ...]] | None:
    """The parts of an array that were written; all others have the fill value.

    Args:
        dataset: the array.
        rows: number of rows of its first axis that count; None for its whole shape.

    Returns:
        One region for each stored chunk, in order; None if the whole array is stored.
    """
    if dataset.chunks is None:
        return None
    shape = dataset.shape if rows is None else (rows, *dataset.shape[1:])
    offsets: list[tuple[int, ...]] = []
    dataset.id.chunk_iter(lambda chunk: offsets.append(chunk.chunk_offset))
    inside = sorted(o for o in offsets if all(at < length for at, length in zip(o, shape, strict=True)))
    declared = math.prod(-(-length // edge) for length, edge in zip(shape, dataset.chunks, strict=True))
    if len(inside) == declared:
        return None
    edges = list(zip(shape, dataset.chunks, strict=True))
    return [tuple(slice(a, min(a + e, n)) for a, (n, e) in zip(o, edges, strict=True)) for o in inside]


def _refused(declared: str, size: int) -> FileError:
    return FileError(
        f"{declared}, more than the {size:,} bytes of the file can store.",
        hint="The file is damaged or was not written by ffprobe.",
    )
