"""``python -m benchmarks.startup``: the time of a command as a whole process, started from the shell."""

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


def python(*arguments: str) -> Callable[[], object]:
    """A Python process with these arguments."""
    return lambda: subprocess.run([sys.executable, *arguments], capture_output=True, check=True)


def command(*arguments: str) -> Callable[[], object]:
    """An ``ffprobe`` process with these arguments."""
    return python("-m", "ffprobe", *arguments)


def main(
    rounds: Annotated[int, typer.Option(help="Number of measured rounds.")] = 9,
    json: Annotated[Path, typer.Option(help="Directory for the measurement.")] = RESULTS,
) -> None:
    """Measure ``--help``, ``plugins list``, one analysis of a small finished run, and one run; all compute very little.

    For comparison with the run: importing torch, and the compiler that torch's optimizers import in every run.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = str(Path(folder) / "run.h5")
        command(*SMALL.split(), run)()
        bounds = {"--help": 0.4, "plugins list": 0.4, "analyze layers": 3.0}
        alternatives = {
            "--help": command("--help"),
            "plugins list": command("plugins", "list"),
            "analyze layers": command("analyze", "layers", run),
            "run, 64 digits": command(*FIRST.split(), str(Path(folder) / "first.h5")),
            "python -c 'import torch, torch._dynamo'": python("-c", "import torch, torch._dynamo"),
            "python -c pass": python("-c", "pass"),
        }
        measurement = compare(
            "startup", "Whole processes, warm disk caches.", alternatives, baseline="python -c pass", rounds=rounds
        )
    for name, bound in bounds.items():
        measurement.promise(f"ffprobe {name} (s)", quartiles(measurement.seconds[name])[1], bound, "at most")
    keep(measurement, json)


if __name__ == "__main__":
    typer.run(main)
