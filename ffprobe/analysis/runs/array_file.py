"""Small files of float64 arrays, written atomically and read without trust in what they contain."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

Shapes = Mapping[str, tuple[int, ...]]
SPARE = 1 << 16
"""Bytes that a file may have in addition to its numbers: names, headers and the key."""
KEY = "key"


def write_arrays(path: Path, key: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as an ``.npz`` file, replacing an existing one atomically.

    Args:
        path: name of the file; its folder exists.
        key: what the arrays belong to.
        arrays: float64 arrays by name.

    Raises:
        OSError: the file cannot be written; no part of it is left.
    """
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with new.open("wb") as file:
            np.savez(file, **{KEY: np.frombuffer(key.encode(), np.uint8)}, **arrays)  # type: ignore[arg-type]
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def read_arrays(path: Path, key: str, shapes: Shapes) -> dict[str, np.ndarray] | None:
    """Read the arrays of a file if it has exactly this key and these shapes; None in every other case.

    The file may come from anybody: it is never unpickled, nothing in it is decompressed, and nothing larger than what
    is expected is read.

    Args:
        path: name of the file.
        key: what the arrays must belong to.
        shapes: expected shape of each float64 array.
    """
    expected = {name: 8 * int(np.prod(shape)) for name, shape in shapes.items()}
    try:
        if not path.is_file() or path.stat().st_size > sum(expected.values()) + SPARE + len(key):
            return None
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            if set(members) != {KEY, *shapes} or any(m.compress_type != zipfile.ZIP_STORED for m in members.values()):
                return None
            stored = _member(archive, members[KEY], (len(key.encode()),), np.dtype(np.uint8))
            if stored is None or stored.tobytes() != key.encode():
                return None
            arrays = {name: _member(archive, members[name], shape, np.dtype(float)) for name, shape in shapes.items()}
    except Exception:  # whatever is wrong with the file, its numbers are computed again
        return None
    read = {name: array for name, array in arrays.items() if array is not None}
    return read if len(read) == len(shapes) else None


def _member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray | None:
    """One array of the archive if its header names this shape and dtype; zipfile checks its checksum."""
    size = int(np.prod(shape)) * dtype.itemsize
    if not size <= info.file_size <= size + SPARE:
        return None
    with archive.open(info) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            return None
        header = np.lib.format.read_array_header_1_0(file)
        data = file.read(size + 1)
    if header != (shape, False, dtype) or len(data) != size:
        return None
    return np.frombuffer(data, dtype).reshape(shape).copy()


def canonical(value: object) -> str:
    """A text that is equal for equal settings, whatever their order."""
    return json.dumps(value, sort_keys=True, default=str)
