"""Images that stay on the disk and are read on demand."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ffprobe.errors import FileError

_READ_SIZE = 1 << 20  # maximum bytes of adjacent rows per read


class PixelsOnDisk:
    """uint8 images ``[N, C, H, W]`` in an ``.npy`` file, in place of a tensor that does not fit into memory.

    A slice or int64 indices return a tensor of those rows, which are read in the order of the file. No other tensor
    operation is supported. A subset (``subset``) takes only the memory of its indices.

    Rows are read, not memory-mapped: a read costs less than the page faults of a small picture, takes no more memory
    than the rows, and a truncated file is an error message instead of a crash. The operating system caches the file.

    Args:
        path: file with an array uint8 ``[N, C, H, W]`` in C order, as ``numpy.save`` writes it.

    Raises:
        FileError: the file cannot be read, or does not contain such an array.
    """

    dtype = torch.uint8

    def __init__(self, path: Path) -> None:
        try:
            self._file = _Opened(path)
            with path.open("rb") as file:
                shape, self._offset = _header(file)
            size, expected = os.fstat(self._file.number).st_size, self._offset + int(np.prod(shape))
            if size != expected:
                raise ValueError(f"the file has {size} bytes instead of {expected}")
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
        pixels = np.empty((len(rows), each), dtype=np.uint8)
        order = rows.argsort().tolist()
        numbers = rows.tolist()
        most = max(1, _READ_SIZE // each)
        done = 0
        while done < len(order):
            # rows that are adjacent in the file and in the result are read together
            start, count = order[done], 1
            first = numbers[start]
            while (
                count < most
                and done + count < len(order)
                and order[done + count] == start + count
                and numbers[start + count] == first + count
            ):
                count += 1
            self._read(pixels[start : start + count], first)
            done += count
        return torch.from_numpy(pixels).view(-1, *self._picture)

    def _read(self, into: np.ndarray, first: int) -> None:
        target, offset = into.reshape(-1).data, self._offset + first * into.shape[1]
        try:
            while len(target):
                count = os.preadv(self._file.number, [target], offset)
                if not count:
                    raise OSError(0, "the file is truncated")
                target, offset = target[count:], offset + count
        except OSError as error:
            raise FileError(
                f"The decoded pictures cannot be read: {error.strerror}.",
                where=str(self._path),
                hint="Start the run again with --resume: it decodes the pictures again.",
            ) from error

    def subset(self, indices: torch.Tensor) -> PixelsOnDisk:
        """The images at ``indices`` (int64 ``[M]``), still on the disk."""
        subset = PixelsOnDisk.__new__(PixelsOnDisk)
        subset.__dict__.update(self.__dict__)
        subset._rows = self._rows[indices]
        return subset


class _Opened:
    """A file descriptor that is closed when the last subset is garbage-collected."""

    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.number)


def _header(file: Any) -> tuple[tuple[int, ...], int]:
    # the shape, and the offset of the data
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("the file is not an array of format version 1.0")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if fortran or dtype != np.uint8 or len(shape) != 4 or not all(shape):
        raise ValueError(f"the file contains {dtype} {list(shape)}")
    return shape, file.tell()
