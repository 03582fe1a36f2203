"""The IDX reader on valid and damaged files."""

import bz2
import gzip
import struct

import numpy as np
import pytest

from ffprobe.data.idx import MAX_BYTES, read_idx
from ffprobe.errors import FileError

ARRAY = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


def idx(array, magic=b"\0\0\x08"):
    return magic + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_reads_plain_and_gzip(tmp_path, pack):
    path = tmp_path / "file"
    path.write_bytes(pack(idx(ARRAY)))
    array = read_idx(path, 3)
    assert array.dtype == np.uint8
    assert array.flags.writeable
    assert np.array_equal(array, ARRAY)


WHOLE = idx(ARRAY)
HUGE = b"\0\0\x08\x03" + struct.pack(">3I", 2**31, 2**31, 2**31)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not an IDX file"),
        (b"\0\0\x08\x03\0\0", "is not an IDX file"),
        (idx(ARRAY, b"\0\0\x0d"), "is not an IDX file"),
        (idx(ARRAY[0, 0]), "is not an IDX file"),
        (idx(ARRAY, b"\1\0\x08"), "is not an IDX file"),
        (bz2.compress(WHOLE), "is not an IDX file"),
        (WHOLE[:-1], "contains only 23"),
        (WHOLE + b"x", "contains more"),
        (gzip.compress(WHOLE + bytes(50_000_000)), "contains more"),
        (HUGE, "declares the shape"),
        (gzip.compress(HUGE), "declares the shape"),
        (idx(ARRAY[:0]), "declares the shape"),
        (gzip.compress(WHOLE)[:-9], "cannot be read"),
        (gzip.compress(WHOLE)[:10] + b"\xff" * 30, "cannot be read"),
        (gzip.compress(WHOLE)[:-8] + b"\0" * 8, "cannot be read"),
    ],
    ids=range(15),
)
def test_broken_files_are_named(tmp_path, content, reason):
    path = tmp_path / "broken-idx"
    path.write_bytes(content)
    with pytest.raises(FileError, match=reason) as caught:
        read_idx(path, 3)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileError, match="nowhere"):
        read_idx(tmp_path / "nowhere", 3)


def test_no_more_is_decompressed_than_declared(tmp_path, monkeypatch):
    path = tmp_path / "bomb"
    path.write_bytes(gzip.compress(WHOLE + bytes(30_000_000)))
    taken = []
    read = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, size: (taken.append(size), read(self, size))[1])
    with pytest.raises(FileError):
        read_idx(path, 3)
    assert sum(taken) < 100


def test_the_limit_is_above_every_published_set():
    assert MAX_BYTES > 814_255 * 28 * 28  # EMNIST ByClass
