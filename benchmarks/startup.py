"""``python -m benchmarks.startup``: how long a command takes as a whole process, from the shell and back."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.harness import RESULTS, compare, keep, quartiles

SMALL = "run --preset trifecta --set network=tiny --epochs 2 --out"
FIRST = (
    "run --preset trifecta --dataset digits --set network=tiny --set training.max_images=64 --epochs 1 "
    "--overwrite --out"
)


def python(*words: str) -> Callable[[], object]:
    """A process of Python with these words."""
    return lambda: subprocess.run([sys.executable, *words], capture_output=True, check=True)


def command(*words: str) -> Callable[[], object]:
    """A process of ``ffprobe`` with these words."""
    return python("-m", "ffprobe", *words)


def main(
    rounds: Annotated[int, typer.Option(help="Rounds that count.")] = 9,
    json: Annotated[Path, typer.Option(help="Folder for the measurement.")] = RESULTS,
) -> None:
    """``--help``, ``plugins list``, one analysis of a small finished run, one run: they compute next to nothing.

    The run stands beside torch and the compiler that torch's optimizers import, which no run is without.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = str(Path(folder) / "run.h5")
        command(*SMALL.split(), run)()
        bounds = {"--help": 0.4, "plugins list": 0.4, "analyze layers": 3.0}
        ways = {
            "--help": command("--help"),
            "plugins list": command("plugins", "list"),
            "analyze layers": command("analyze", "layers", run),
            "run, 64 digits": command(*FIRST.split(), str(Path(folder) / "first.h5")),
            "python -c 'import torch, torch._dynamo'": python("-c", "import torch, torch._dynamo"),
            "python -c pass": python("-c", "pass"),
        }
        found = compare("startup", "Whole processes, warm disk caches.", ways, baseline="python -c pass", rounds=rounds)
    for name, bound in bounds.items():
        found.promise(f"ffprobe {name} (s)", quartiles(found.seconds[name])[1], bound, "at most")
    keep(found, json)


if __name__ == "__main__":
    typer.run(main)
