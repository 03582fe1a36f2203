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


def command(*words: str) -> Callable[[], object]:
    """A process of ``ffprobe`` with these words."""
    return lambda: subprocess.run([sys.executable, "-m", "ffprobe", *words], capture_output=True, check=True)


def main(
    rounds: Annotated[int, typer.Option(help="Rounds that count.")] = 9,
    json: Annotated[Path, typer.Option(help="Folder for the measurement.")] = RESULTS,
) -> None:
    """``--help`` and ``plugins list``, and one analysis of a small finished run, which computes next to nothing."""
    with tempfile.TemporaryDirectory() as folder:
        run = str(Path(folder) / "run.h5")
        command(*SMALL.split(), run)()
        bounds = {"--help": 0.4, "plugins list": 0.4, "analyze layers": 3.0}
        ways = {
            "--help": command("--help"),
            "plugins list": command("plugins", "list"),
            "analyze layers": command("analyze", "layers", run),
            "python -c pass": lambda: subprocess.run([sys.executable, "-c", "pass"], check=True),
        }
        found = compare("startup", "Whole processes, warm disk caches.", ways, baseline="python -c pass", rounds=rounds)
    for name, bound in bounds.items():
        found.promise(f"ffprobe {name} (s)", quartiles(found.seconds[name])[1], bound, "at most")
    keep(found, json)


if __name__ == "__main__":
    typer.run(main)
