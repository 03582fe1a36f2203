"""Whose malloc the process calls."""

from __future__ import annotations

import sys

import pytest

from ffprobe.training.allocator import preloaded_allocator


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("preload", "told"),
    [
        ("", ""),
        ("/lib/libc.so.6", "libc.so.6"),  # stands for an allocator: every process has it
        ("libc.so.6:/opt/other.so", "libc.so.6"),
        ("libc.so.6 /opt/other.so", "libc.so.6"),
        ("/opt/libtcmalloc_of_nobody.so.4", ""),  # asked for, but the loader did not find it
    ],
)
def test_a_library_counts_only_when_it_was_loaded(monkeypatch: pytest.MonkeyPatch, preload: str, told: str) -> None:
    monkeypatch.setenv("LD_PRELOAD", preload)
    assert preloaded_allocator() == told
