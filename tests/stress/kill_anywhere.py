"""Kills real ``ffprobe run`` processes with SIGKILL at random moments and checks the remaining files.

After each kill: the partial file opens, every committed epoch equals the same epoch of an undisturbed run, bit for bit,
and ``ffprobe repair`` writes a file that h5py, xarray and netCDF4 open. Then ``--resume`` continues the run, it is
killed again, and so on; when it finishes, the whole file must equal that of the undisturbed run. No ``--resume`` may
fail. Nothing is valid in a file without a commit, including labels; it must have no rows, and ``--resume`` must start
again.

    python tests/stress/kill_anywhere.py --kills 200
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import xarray

sys.path.insert(0, str(Path(__file__).parents[1]))

from toy import WORDS

import ffprobe
from ffprobe.store.repair import repair

EPOCHS = 12
RUN = [sys.executable, "-m", "ffprobe", "run", "--preset", "trifecta", *WORDS, "--epochs", str(EPOCHS)]
ENV = {**os.environ, "OMP_NUM_THREADS": "1"}
TIMED = ("wall_time", "images_per_second", "peak_memory", "commit/")


class Lost(AssertionError):
    """Data was lost, or a check of the remaining files failed."""


def whole_run(folder: Path, command: list[str] = RUN) -> Path:
    """An undisturbed run."""
    subprocess.run([*command, "--out", "whole.h5"], cwd=folder, env=ENV, check=True, capture_output=True)
    return folder / "whole.h5"


def compare(path: Path, whole: Path) -> int:
    """The number of committed epochs; raises ``Lost`` if one differs from that of the undisturbed run."""
    with ffprobe.open(path) as run, ffprobe.open(whole) as reference:
        for name in sorted(run.paths()):
            growing = run.variable(name).shape[:1] != reference.variable(name).shape[:1]
            fixed_and_late = not run.complete and name.startswith(("final/", "weights/", "test/goodness"))
            if fixed_and_late or any(word in name for word in TIMED):
                continue
            got, expected = run.read(name), reference.read(name)
            if growing:
                expected = expected[: len(got)]
            if not np.array_equal(got, expected, equal_nan=got.dtype.kind == "f"):
                raise Lost(f"{name} of {path} differs from the undisturbed run")
        if len(run.read("steps/step")) < 4 * run.epochs:
            raise Lost("steps of a committed epoch are missing")
        return int(run.epochs)


def committed_epochs(partial: Path, whole: Path) -> int | None:
    """Like ``compare``; None if nothing is committed, and then there must be no rows and no checkpoint."""
    with ffprobe.open(partial) as run:
        if run.committed:
            return compare(partial, whole)
        if run.epochs or len(run.read("steps/step")) or len(run.read("evaluation/goodness")):
            raise Lost(f"{partial} shows rows that were never committed")
    if partial.with_name("run.h5.checkpoint").exists():
        raise Lost("there is a checkpoint of a commit that the file does not have")
    return None


def open_everywhere(partial: Path, epochs: int) -> None:
    """Repair a copy and open it with every supported reader."""
    copy = partial.with_name("copy.h5.partial")
    shutil.copy(partial, copy)
    repair(copy)
    with h5py.File(copy, "r") as file:
        if len(file["metrics/loss"]) != epochs:
            raise Lost("repair lost an epoch")
    for engine in ("h5netcdf", "netcdf4"):
        with xarray.open_dataset(copy, engine=engine, group="metrics") as data:
            if data["loss"].sizes["epoch"] != epochs:
                raise Lost(f"xarray with {engine} sees {data['loss'].sizes['epoch']} of {epochs} epochs")
    with netCDF4.Dataset(copy) as data:
        if len(data["evaluation/goodness"]) > EPOCHS:
            raise Lost("netCDF4 sees rows that were not committed")
    copy.unlink()


def one_kill(folder: Path, chance: random.Random) -> tuple[str, bool]:
    """Start or resume a run in ``folder`` and kill it; returns when it was killed, and whether it finished first."""
    process = subprocess.Popen(
        [*RUN, "--resume", "--out", "run.h5"],
        cwd=folder,
        env=ENV,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    kind = chance.random()
    if kind < 0.2:  # at any time: mostly while libraries are loaded, the data set is read, the file is created
        time.sleep(chance.uniform(0.05, 4.0))
        where = "at a random time"
    elif kind < 0.4 and not (folder / "run.h5.partial").exists():
        while not list(folder.glob("run.h5.partial*")) and process.poll() is None:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.12))  # the file is complete after 30 ms, and has its first commit 40 ms later
        where = "around the first commit"
    else:  # an epoch's line is printed just before its commit
        skip = chance.randrange(1, EPOCHS + 1)
        for line in process.stderr:
            skip -= line.startswith("epoch")
            if skip == 0:
                break
        time.sleep(chance.choice([0, chance.uniform(0, 0.01), chance.uniform(0, 0.12)]))
        where = "around a commit"
    process.send_signal(signal.SIGKILL)
    _, message = process.communicate()
    if process.returncode not in (0, -signal.SIGKILL):
        raise Lost(f"--resume failed with exit code {process.returncode}: {message}")
    return where, process.returncode == 0


def life(folder: Path, whole: Path, kills: int, seed: int) -> collections.Counter[str]:
    """Kill ``kills`` times in one folder, with checks after each."""
    chance = random.Random(seed)
    count: collections.Counter[str] = collections.Counter()
    partial, final = folder / "run.h5.partial", folder / "run.h5"
    while count["kills"] < kills:
        where, finished = one_kill(folder, chance)
        if not finished:
            count["kills"] += 1
            count[where] += 1
            print(f"{folder.name}: {count['kills']} of {kills}", file=sys.stderr, flush=True)
        if final.exists():
            if compare(final, whole) != EPOCHS:
                raise Lost("epochs are missing in a finished file")
            count["finished, equal to the undisturbed run"] += 1
            final.unlink()
            (folder / "run.h5.checkpoint").unlink(missing_ok=True)
        elif partial.exists():
            epochs = committed_epochs(partial, whole)
            if epochs is None:
                count["killed before the first commit"] += 1
                continue
            open_everywhere(partial, epochs)
            count["partials opened, repaired and equal"] += 1
            count["committed epochs compared"] += epochs
        else:
            count["killed before there was a file"] += 1
    return count


def main(kills: int, seed: int, workers: int) -> collections.Counter[str]:
    """Kill in ``workers`` folders at the same time."""
    # processes, not threads: netCDF4 is not thread-safe
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(workers) as pool:
        whole = whole_run(Path(name))
        shares = [kills // workers + (i < kills % workers) for i in range(workers)]
        folders = [Path(name) / str(i) for i in range(workers)]
        for folder in folders:
            folder.mkdir()
        jobs = [
            pool.submit(life, folder, whole, share, seed + i)
            for i, (folder, share) in enumerate(zip(folders, shares, strict=True))
        ]
        return sum((job.result() for job in jobs), collections.Counter())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    print(json.dumps(main(options.kills, options.seed, options.workers), indent=2))
