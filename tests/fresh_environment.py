"""A virtual environment beside the one that runs the tests, made in a second, and ``ffprobe`` in it."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# the program's own entry point; one process runs all, because a small command mostly imports torch
COMMANDS = """
import json, sys
from ffprobe.cli.main import main
for words in json.load(sys.stdin):
    sys.argv = ["ffprobe", *words]
    try:
        main()
    except SystemExit as end:
        if end.code:
            sys.exit(f"{words} ended with {end.code}")
"""


def fresh_environment(folder: Path) -> str:
    """A virtual environment that sees the packages of this one without installing them again; its python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    # addsitedir, not a bare path: it also reads .pth files, by which ffprobe itself may be installed
    lines = [f"import site; site.addsitedir({path!r})" for path in site.getsitepackages()]
    (packages / "of_the_tests.pth").write_text("\n".join(lines) + "\n")
    return str(python)


def call_all(python: str, commands: Sequence[Sequence[str]], cwd: Path) -> str:
    """What ``ffprobe`` printed for several commands, one after the other in one process; all must succeed."""
    return call(python, "-c", COMMANDS, cwd=cwd, stdin=json.dumps(commands))


def call(*words: str, cwd: Path, stdin: str | None = None) -> str:
    """What a command printed; it must succeed."""
    env = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, env=env, input=stdin)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout
