"""Whose malloc this process calls; on a CPU a tenth of a training step may hang on it (docs/decisions/0006)."""

from __future__ import annotations

import os
from pathlib import Path


def preloaded_allocator() -> str:
    """The file name of a library put before the C library's by ``LD_PRELOAD``, if it was loaded; else empty."""
    before = Path(os.environ.get("LD_PRELOAD", "").replace(":", " ").partition(" ")[0]).name
    maps = Path("/proc/self/maps")
    return before if before and maps.is_file() and before in maps.read_text(encoding="utf-8") else ""
