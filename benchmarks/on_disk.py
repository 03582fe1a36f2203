"""``python -m benchmarks.on_disk --data PICTURES``: pictures read from the disk as they are needed, against memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.harness import RESULTS, Measurement, compare, keep, quartiles
from ffprobe.config.parsing import merge
from ffprobe.config.preset_files import BASE_PRESET, read_preset
from ffprobe.config.resolve import resolve
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import Experiment, build

MEMORY, DISK, COLD = "in memory", "on disk", "on disk, nothing of it in memory before"
NOTHING = 1e-9
"""Gigabytes that the pictures may take, so that they stay on the disk."""


def experiment(data: Path, gigabytes: float, width: float, batch: int, count: int) -> Experiment:
    """The Trifecta on these pictures."""
    table = merge(read_preset(BASE_PRESET), read_preset("trifecta"))
    changes = {
        "network": {"name": "tff-s", "width": width},
        "dataset": {"name": "images", "max_gigabytes": gigabytes},
        "data": {"dir": str(data)},
        "training": {"batch_size": batch, "epochs": 1, "max_images": count, "test": "never"},
        "probes": [],
    }
    registry = Registry()
    made = build(resolve(merge(table, changes), registry), registry)
    made.network.train()
    return made


def epoch(made: Experiment, before: Callable[[], None] = lambda: None) -> Callable[[], None]:
    """One epoch of training, augmentation included."""
    step = iter(range(10**9))

    def run() -> None:
        before()
        for images, labels, _ in made.loader:
            for _ in made.learner.step(images, labels, next(step), 0):
                pass

    return run


def loading(made: Experiment, before: Callable[[], None] = lambda: None) -> Callable[[], None]:
    """One epoch of batches alone."""

    def run() -> None:
        before()
        for _ in made.loader:
            pass

    return run


def forget(folder: Path) -> None:
    """Let the system drop what it holds of these files in memory."""
    for path in folder.rglob("*.npy"):
        file = os.open(path, os.O_RDONLY)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def measure(data: Path, width: float, batch: int, count: int, rounds: int) -> list[Measurement]:
    """An epoch, and its batches alone."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FFPROBE_CACHE_DIR"] = folder
        memory, disk = (experiment(data, limit, width, batch, count) for limit in (8.0, NOTHING))
        found = []
        for what, way in (("epoch", epoch), ("batches", loading)):
            one = compare(
                f"disk-{what}",
                f"{'Training' if what == 'epoch' else 'The batches'} of one epoch, {len(memory.split.train)} pictures "
                f"of {'x'.join(map(str, memory.split.train.shape))}, tff-s at width {width:g}, batches of {batch}, "
                "augmented: decoded pictures in memory, or on the disk and read batch by batch.",
                {MEMORY: way(memory), DISK: way(disk), COLD: way(disk, lambda: forget(Path(folder)))},
                baseline=MEMORY,
                rounds=rounds,
            )
            if what == "epoch":
                one.promise("on disk, of the speed in memory", quartiles(one.ratios[DISK])[1], 0.9)
            found.append(one)
        return found


def main(
    data: Annotated[Path, typer.Option(help="A folder or archive as --dataset images takes it.")],
    width: Annotated[float, typer.Option(help="Factor on tff-s's channels.")] = 0.25,
    batch: Annotated[int, typer.Option(help="Images a step.")] = 128,
    images: Annotated[int, typer.Option(help="Training images.")] = 10000,
    rounds: Annotated[int, typer.Option(help="Rounds that count; one epoch before them does not.")] = 5,
    json: Annotated[Path, typer.Option(help="Folder for the measurements.")] = RESULTS,
) -> None:
    """Pictures in memory and on the disk."""
    for one in measure(data, width, batch, images, rounds):
        keep(one, json)


if __name__ == "__main__":
    typer.run(main)
