"""A virtual environment beside the one that runs the tests, made in a second."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from pathlib import Path


def fresh_environment(folder: Path) -> str:
    """A virtual environment that sees the packages of this one without installing them again; its python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    # addsitedir, not a bare path: it also reads .pth files, by which ffprobe itself may be installed
    lines = [f"import site; site.addsitedir({path!r})" for path in site.getsitepackages()]
    (packages / "of_the_tests.pth").write_text("\n".join(lines) + "\n")
    return str(python)


def call(*words: str, cwd: Path) -> str:
    """What a command printed; it must succeed."""
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout
