"""Large tensors use huge pages, unless the user's environment disables them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ffprobe.runtime.huge_pages import VARIABLE

SYSTEM = Path("/sys/kernel/mm/transparent_hugepage/enabled")
PROGRAM = """
import json, ffprobe, torch
kept = torch.ones(32 << 20)
lines = open("/proc/self/smaps_rollup").read().splitlines()
print(json.dumps({line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}))
"""


def huge_kilobytes(**environment: str) -> int:
    clean = {k: v for k, v in os.environ.items() if k != VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=clean | environment
    )
    return int(json.loads(done.stdout)["AnonHugePages"])


given = SYSTEM.is_file() and "[never]" not in SYSTEM.read_text() and Path("/proc/self/smaps_rollup").is_file()


@pytest.mark.skipif(not given, reason="this system has no huge pages")
def test_a_large_tensor_uses_huge_pages() -> None:
    assert huge_kilobytes() > 30_000  # of the 131,072 kB that it needs; fragmented memory has fewer huge pages


@pytest.mark.skipif(not given or "[madvise]" not in SYSTEM.read_text(), reason="processes cannot refuse huge pages")
def test_the_user_s_environment_variable_wins() -> None:
    assert huge_kilobytes(**{VARIABLE: "0"}) < 30_000
