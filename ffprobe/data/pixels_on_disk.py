"""Images that stay on the disk and are read when they are asked for."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ffprobe.errors import FileError

_AT_ONCE = 1 << 20  # bytes of neighbouring rows that one read takes


class PixelsOnDisk:
    """uint8 images ``[N, C, H, W]`` in a file ``.npy``, in the place of a tensor that would not fit into memory.

    A slice or int64 indices give a tensor of those rows, read in the order in which they lie in the file. Nothing else
    of a tensor is offered. A part (``subset``) is as small as its indices.

    Rows are read, not mapped: a read costs less than the page faults of a small picture, takes no more memory than the
    rows, and a file that was cut short is an error in words instead of the end of the process. The system's own cache
    keeps what it can.

    Args:
        path: an array uint8 ``[N, C, H, W]`` in C order, as ``numpy.save`` writes it.

    Raises:
        FileError: it cannot be read, or is no such array.
    """

    dtype = torch.uint8

    def __init__(self, path: Path) -> None:
        try:
            self._file = _Opened(path)
            with path.open("rb") as file:
                shape, self._offset = _header(file)
            size, expected = os.fstat(self._file.number).st_size, self._offset + int(np.prod(shape))
            if size != expected:
                raise ValueError(f"it has {size} bytes instead of {expected}")
        except (OSError, ValueError) as error:
            raise FileError(f"The decoded pictures cannot be read: {error}.", where=str(path)) from error
        self._path, self._picture = path, torch.Size(shape[1:])
        self._rows = torch.arange(shape[0])

    @property
    def shape(self) -> torch.Size:
        """``[N, C, H, W]``."""
        return torch.Size((len(self._rows), *self._picture))

    def dim(self) -> int:
        """4."""
        return len(self.shape)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, which: slice | torch.Tensor) -> torch.Tensor:
        rows = self._rows[which]
        each = self._picture.numel()
        found = np.empty((len(rows), each), dtype=np.uint8)
        order = rows.argsort().tolist()
        numbers = rows.tolist()
        most = max(1, _AT_ONCE // each)
        done = 0
        while done < len(order):
            # rows that lie side by side, in the file and where they go, are read together
            start, count = order[done], 1
            first = numbers[start]
            while (
                count < most
                and done + count < len(order)
                and order[done + count] == start + count
                and numbers[start + count] == first + count
            ):
                count += 1
            self._read(found[start : start + count], first)
            done += count
        return torch.from_numpy(found).view(-1, *self._picture)

    def _read(self, into: np.ndarray, first: int) -> None:
        target, place = into.reshape(-1).data, self._offset + first * into.shape[1]
        try:
            while len(target):
                count = os.preadv(self._file.number, [target], place)
                if not count:
                    raise OSError(0, "it ends too early")
                target, place = target[count:], place + count
        except OSError as error:
            raise FileError(
                f"The decoded pictures cannot be read: {error.strerror}.",
                where=str(self._path),
                hint="They are decoded again when the run is started again; --resume goes on with it.",
            ) from error

    def subset(self, indices: torch.Tensor) -> PixelsOnDisk:
        """The images at ``indices`` (int64 ``[M]``), still on the disk."""
        part = PixelsOnDisk.__new__(PixelsOnDisk)
        part.__dict__.update(self.__dict__)
        part._rows = self._rows[indices]
        return part


class _Opened:
    """A file that is open until the last part of it is forgotten."""

    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.number)


def _header(file: Any) -> tuple[tuple[int, ...], int]:
    # the shape, and where the numbers begin
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("it is no array of version 1.0")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if fortran or dtype != np.uint8 or len(shape) != 4 or not all(shape):
        raise ValueError(f"it holds {dtype} {list(shape)}")
    return shape, file.tell()
