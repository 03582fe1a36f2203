"""Small files that declare far more than they store, made from a good partial file of ``small_run``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from ffprobe.store.commits import CHECKSUM, COMMIT, DIMENSION, LENGTH, row_checksum


def unwritten_rows(path: Path, group: str = "log", rows: int = 10_000_000) -> None:
    """Commit rows of a growing group that were never written; HDF5 takes no byte for them."""
    with h5py.File(path, "r+") as file:
        names = [str(name) for name in file[DIMENSION].asstr()[:]]
        for dataset in file[group].values():
            if dataset.maxshape[:1] == (None,):
                dataset.resize(rows, axis=0)
        row = file[LENGTH][-1]
        row[[name.rpartition("/")[0] for name in names].index(group)] = rows
        at = len(file[COMMIT])
        for name, value in ((LENGTH, row), (CHECKSUM, row_checksum(row)), (COMMIT, at)):
            file[name].resize(at + 1, axis=0)
            file[name][at] = value


def many_dimensions(path: Path, count: int = 1 << 24) -> None:
    """Declare growing dimensions in the commit record, without their names."""
    with h5py.File(path, "r+") as file:
        del file[DIMENSION], file[LENGTH]
        file.create_dataset(DIMENSION, (count,), h5py.string_dtype())
        file.create_dataset(LENGTH, (0, count), "i8", maxshape=(None, count), chunks=(1, 1024))


def many_commits(path: Path) -> None:
    """Declare commits that were never written."""
    with h5py.File(path, "r+") as file:
        for name in (LENGTH, CHECKSUM, COMMIT):
            file[name].resize(10_000_000, axis=0)


def many_groups(path: Path, count: int = 60_000) -> None:
    """Add empty groups."""
    with h5py.File(path, "r+", libver="latest") as file:
        parent = file["metrics"]
        for number in range(count):
            h5py.h5g.create(parent.id, f"g{number}".encode())


def large_array(path: Path) -> None:
    """Declare an uncompressed array of fixed size in chunks that were never written."""
    with h5py.File(path, "r+") as file:
        group = file["final"]
        scale = group.create_dataset("wide", data=np.arange(1 << 16))
        scale.make_scale("wide")
        array = group.create_dataset("bomb", (1 << 16, 1 << 16), "f4", chunks=(256, 256))
        array.dims[0].attach_scale(scale)
        array.dims[1].attach_scale(scale)


def wide_rows(path: Path) -> None:
    """Commit unwritten rows of 4 MB each, in a group whose labels are all stored."""
    with h5py.File(path, "r+") as file:
        group = file["metrics"]
        scale = group.create_dataset("wide", data=np.arange(1 << 20, dtype="i4"))
        scale.make_scale("wide")
        length = len(group["epoch"])
        array = group.create_dataset(
            "bomb", (length, 1 << 20), "f4", maxshape=(None, 1 << 20), chunks=(1, 1 << 18), fillvalue=np.nan
        )
        array.dims[0].attach_scale(group["epoch"])
        array.dims[1].attach_scale(scale)
        rows = 2000
        for dataset in group.values():
            if dataset.maxshape[:1] == (None,):
                dataset.resize(rows, axis=0)
        group["epoch"][:] = np.arange(1, rows + 1)
        names = [str(name) for name in file[DIMENSION].asstr()[:]]
        row = file[LENGTH][-1]
        row[names.index("metrics/epoch")] = rows
        at = len(file[COMMIT])
        for name, value in ((LENGTH, row), (CHECKSUM, row_checksum(row)), (COMMIT, at)):
            file[name].resize(at + 1, axis=0)
            file[name][at] = value


def long_labels(path: Path) -> None:
    """Let 20,000 names of layers refer to one text of 1 MB."""
    with h5py.File(path, "r+") as file:
        group = file["metrics"]
        del group["layer"]
        text = group.create_dataset("text", (1,), h5py.string_dtype())
        text[0] = "x" * (1 << 20)
        file.flush()
        offset, size = text.id.get_offset(), text.id.get_storage_size()
        labels = group.create_dataset("layer", (20_000,), h5py.string_dtype())
        labels[0] = "y"
        file.flush()
        target = labels.id.get_offset()
    raw = bytearray(path.read_bytes())
    raw[target : target + 20_000 * size] = raw[offset : offset + size] * 20_000
    path.write_bytes(raw)


REFUSED: dict[str, Callable[[Path], None]] = {
    "log-rows": unwritten_rows,
    "steps": lambda path: unwritten_rows(path, "steps", 1 << 40),
    "dimensions": many_dimensions,
    "commits": many_commits,
    "groups": many_groups,
    "labels": long_labels,
}
"""Changes of a partial file, by name; each makes ``show`` refuse it."""

NOT_REWRITTEN: dict[str, Callable[[Path], None]] = {**REFUSED, "array": large_array}
"""Changes of a partial file, by name; each makes ``repair`` refuse it."""
