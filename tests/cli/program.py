"""The program as a user runs it: a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warm import start


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def ffprobe(
    *words: str, cwd: Path, env: dict[str, str] | None = None, timeout: float = 120, cold: bool = False
) -> Done:
    """Run ``ffprobe`` in ``cwd``.

    Args:
        words: of the command line.
        cwd: the working directory.
        env: changes to the environment.
        timeout: seconds.
        cold: start a new interpreter, as ``python -m ffprobe`` does; otherwise a fork of one that has imported
            everything (``warm/server.py``), which takes a tenth of the time.
    """
    done = subprocess.run(
        [*(start.COLD if cold else start.program()), *words],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "120", "NO_COLOR": "1", **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return Done(done.returncode, done.stdout, done.stderr)
