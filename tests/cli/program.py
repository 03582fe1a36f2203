"""The program as a user runs it: a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def ffprobe(*words: str, cwd: Path, env: dict[str, str] | None = None, timeout: float = 120) -> Done:
    """Run ``python -m ffprobe`` in ``cwd``."""
    done = subprocess.run(
        [sys.executable, "-m", "ffprobe", *words],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "120", "NO_COLOR": "1", **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return Done(done.returncode, done.stdout, done.stderr)
