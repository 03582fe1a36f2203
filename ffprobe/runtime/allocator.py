"""Which memory allocator this process uses; the speed of steps on a CPU can depend on it (docs/decisions/0006)."""

from __future__ import annotations

import os
import re
from pathlib import Path


def preloaded_allocator() -> str:
    """The file name of a tcmalloc, jemalloc or mimalloc in ``LD_PRELOAD`` that this process has loaded, or ""."""
    maps = Path("/proc/self/maps")
    loaded = maps.read_text(encoding="utf-8") if maps.is_file() else ""
    names = [Path(entry).name for entry in re.split("[: ]", os.environ.get("LD_PRELOAD", ""))]
    allocators = [name for name in names if re.search("tcmalloc|jemalloc|mimalloc", name)]
    return next((name for name in allocators if name in loaded), "")
