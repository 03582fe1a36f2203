"""Two runs of different seeds resume into one file at the same time: one of them is recorded, none is lost.

    python tests/stress/resume_race.py --trials 40

The second starts at a random moment of the first, also while it finishes. Exactly one may succeed, the file must be its
result, and the other must say why it was refused.
"""

from __future__ import annotations

import argparse
import collections
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from toy import WORDS
from warm import start

import ffprobe


def words(program: list[str], seed: int) -> list[str]:
    """The command of one run."""
    return [*program, "run", *WORDS, "--set", "probes=[]", "--resume", "--seed", str(seed), "--out", "run.h5"]


def race(folder: Path, delay: float, program: list[str]) -> str:
    """One trial: which run won, ``first`` or ``second``.

    Args:
        folder: empty, for the file.
        delay: seconds between the two starts.
        program: the words that begin a call of ``ffprobe``.
    """
    runs = []
    for seed in (1, 2):
        runs.append(
            subprocess.Popen(
                words(program, seed), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
        )
        if seed == 1:
            time.sleep(delay)
    errors = [run.communicate()[1] for run in runs]
    codes = [run.returncode for run in runs]
    if min(codes) != 0 or max(codes) not in (2, 4):
        raise AssertionError(f"exit codes {codes} after {delay:.2f} s:\n{errors[0]}\n{errors[1]}")
    winner = codes.index(0)
    with ffprobe.open(folder / "run.h5") as file:
        if file.attributes["seed"] != winner + 1 or not file.complete:
            raise AssertionError(f"the file has seed {file.attributes['seed']}; run {winner + 1} reported success")
    if left := sorted(path.name for path in folder.iterdir() if path.name != "run.h5"):
        raise AssertionError(f"left behind: {left}")
    return ("first", "second")[winner]


def races(trials: int, seed: int = 0, program: list[str] | None = None) -> collections.Counter[str]:
    """Which run won, over many trials; the second starts at a random moment of the first, or just after it."""
    program, draw, won = program or start.COLD, random.Random(seed), collections.Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        subprocess.run(words(program, 1), cwd=folder, check=True, capture_output=True)
        alone = time.monotonic() - began
    for _ in range(trials):
        with tempfile.TemporaryDirectory() as folder:
            won[race(Path(folder), draw.uniform(0, 1.2 * alone), program)] += 1
    return won


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(dict(races(arguments.trials, arguments.seed)))
