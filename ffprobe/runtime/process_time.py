"""How long this process has been running: the time that its user waits, imports included."""

from __future__ import annotations

import os
import time
from pathlib import Path

_IMPORTED = time.monotonic()


def seconds_since_start() -> float:
    """Wall time in seconds since this process began; where the system does not tell, since ffprobe was imported."""
    try:
        # the fields after the name, which may contain spaces and brackets; the start, in ticks since boot, is field 22
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        began = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - began)
    except (OSError, ValueError, IndexError, AttributeError):
        return time.monotonic() - _IMPORTED
