"""Freed memory stays with the process while a context lasts, and is given back at its end."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import pytest

# a process of its own: which of glibc's arenas a long test session has moved to is not ours to say
PROGRAM = """
import json, resource, torch
from pathlib import Path
from ffprobe.training.kept_memory import kept_memory

def faults(size):
    for _ in range(30):  # until a hole in the heap is large enough with whatever alignment asks for
        torch.zeros(size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.zeros(size)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

size = 16 << 20  # 64 MB, beyond what glibc keeps by itself
without = faults(size)
with kept_memory(torch.device("cpu")):
    kept, held = faults(size), resident()
print(json.dumps({"without": without, "kept": kept, "held": held, "after": resident()}))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
def test_a_large_block_is_not_asked_for_again() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["kept"] < 0.1 * found["without"]
    assert found["after"] < found["held"] - 60e6
