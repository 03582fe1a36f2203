"""Which memory allocator the process uses."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

import pytest

from ffprobe.runtime.allocator import preloaded_allocator


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("preload", "expected"),
    [
        ("", ""),
        ("/lib/libc.so.6", ""),  # loaded, but not a known allocator
        ("/opt/libjemalloc_of_nobody.so.2", ""),  # requested, but the loader did not find it
        ("libtcmalloc_of_test.so.4", "libtcmalloc_of_test.so.4"),
        ("/lib/libc.so.6:/opt/libtcmalloc_of_test.so.4", "libtcmalloc_of_test.so.4"),
        ("/opt/libjemalloc_of_nobody.so.2 libtcmalloc_of_test.so.4", "libtcmalloc_of_test.so.4"),
    ],
)
def test_an_allocator_counts_when_it_was_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, preload: str, expected: str
) -> None:
    library = tmp_path / "libtcmalloc_of_test.so.4"
    library.write_bytes(b"x")
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ):  # as if it were loaded
        monkeypatch.setenv("LD_PRELOAD", preload)
        assert preloaded_allocator() == expected
