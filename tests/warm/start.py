"""Starts the server of ``server.py`` once in each process of pytest, and gives the words that call it."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
COLD = [sys.executable, "-m", "ffprobe"]
"""``ffprobe`` as everywhere else: a new interpreter, which imports everything."""

FFPROBE = """#!/bin/sh
exec {python} -IS {client} {folder} "$@"
"""
PYTHON = """#!/bin/sh
if [ "$1 $2" = "-m ffprobe" ]; then shift 2; exec {folder}/bin/ffprobe "$@"; fi
exec {python} "$@"
"""


AVAILABLE = hasattr(os, "pidfd_open")
"""Linux has it; elsewhere every call is cold."""


@functools.cache
def _server() -> Path | None:
    """The folder of this process's server, which is started by the first call."""
    if not AVAILABLE:
        return None
    folder = Path(tempfile.mkdtemp(prefix="ffprobe-"))  # a socket's path must be short, and those of pytest are long
    (folder / "bin").mkdir()
    for name, text in (("ffprobe", FFPROBE), ("ff-probe", FFPROBE), ("python", PYTHON)):
        script = folder / "bin" / name
        script.write_text(text.format(python=sys.executable, client=HERE / "client.py", folder=folder))
        script.chmod(0o755)
    words = [sys.executable, "-P", str(HERE / "server.py"), str(folder)]
    server = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")
    atexit.register(_stop, server, folder, os.getpid())
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    return folder


def _stop(server: subprocess.Popen[str], folder: Path, owner: int) -> None:
    if os.getpid() != owner:  # a fork of pytest
        return
    assert server.stdin is not None
    server.stdin.close()
    server.wait(10)
    shutil.rmtree(folder, ignore_errors=True)


def program() -> list[str]:
    """The words that begin a warm call of ``ffprobe``."""
    folder = _server()
    return [sys.executable, "-IS", str(HERE / "client.py"), str(folder)] if folder else COLD


def programs() -> Path:
    """A folder for the front of PATH: its ``ffprobe`` and its ``python -m ffprobe`` are warm."""
    folder = _server()
    return folder / "bin" if folder else Path(sys.executable).parent


def seconds() -> float:
    """CPU seconds of all warm calls that have ended, which are children of the server and not of this process."""
    if not _server.cache_info().currsize or not (folder := _server()):
        return 0.0
    file = folder / "seconds"
    return sum(map(float, file.read_text().split())) if file.exists() else 0.0
