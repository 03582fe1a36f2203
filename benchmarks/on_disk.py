"""``python -m benchmarks.on_disk --data PICTURES``: pictures read from disk on demand, against pictures in memory."""

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
"""A memory limit in gigabytes at which all pictures stay on disk."""


def trifecta(data: Path, gigabytes: float, width: float, batch: int, count: int) -> Experiment:
    """The Trifecta on the pictures in ``data``."""
    table = merge(read_preset(BASE_PRESET), read_preset("trifecta"))
    changes = {
        "network": {"name": "tff-s", "width": width},
        "dataset": {"name": "images", "max_gigabytes": gigabytes},
        "data": {"dir": str(data)},
        "training": {"batch_size": batch, "epochs": 1, "max_images": count, "test": "never"},
        "probes": [],
    }
    registry = Registry()
    experiment = build(resolve(merge(table, changes), registry), registry)
    experiment.network.train()
    return experiment


def epoch(experiment: Experiment, before: Callable[[], None] = lambda: None) -> Callable[[], None]:
    """One epoch of training, including augmentation."""
    step = iter(range(10**9))

    def run() -> None:
        before()
        for images, labels, _ in experiment.loader:
            for _ in experiment.learner.step(images, labels, next(step), 0):
                pass

    return run


def loading(experiment: Experiment, before: Callable[[], None] = lambda: None) -> Callable[[], None]:
    """One epoch of batches, without training."""

    def run() -> None:
        before()
        for _ in experiment.loader:
            pass

    return run


def drop_file_cache(folder: Path) -> None:
    """Let the operating system drop these files from its page cache."""
    for path in folder.rglob("*.npy"):
        file = os.open(path, os.O_RDONLY)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def measure(data: Path, width: float, batch: int, count: int, rounds: int) -> list[Measurement]:
    """Measure an epoch of training, and an epoch of batches alone."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FFPROBE_CACHE_DIR"] = folder
        memory, disk = (trifecta(data, limit, width, batch, count) for limit in (8.0, NOTHING))
        measurements = []
        for what, way in (("epoch", epoch), ("batches", loading)):
            measurement = compare(
                f"disk-{what}",
                f"{'Training' if what == 'epoch' else 'The batches'} of one epoch, {len(memory.split.train)} pictures "
                f"of {'x'.join(map(str, memory.split.train.shape))}, tff-s at width {width:g}, batches of {batch}, "
                "augmented: decoded pictures in memory, or on the disk and read batch by batch.",
                {MEMORY: way(memory), DISK: way(disk), COLD: way(disk, lambda: drop_file_cache(Path(folder)))},
                baseline=MEMORY,
                rounds=rounds,
            )
            if what == "epoch":
                measurement.promise("on disk, of the speed in memory", quartiles(measurement.ratios[DISK])[1], 0.9)
            measurements.append(measurement)
        return measurements


def main(
    data: Annotated[Path, typer.Option(help="A folder or archive, as for --dataset images.")],
    width: Annotated[float, typer.Option(help="Factor for the number of channels of tff-s.")] = 0.25,
    batch: Annotated[int, typer.Option(help="Images per step.")] = 128,
    images: Annotated[int, typer.Option(help="Number of training images.")] = 10000,
    rounds: Annotated[int, typer.Option(help="Number of measured rounds, after one warm-up round.")] = 5,
    json: Annotated[Path, typer.Option(help="Directory for the measurements.")] = RESULTS,
) -> None:
    """Compare pictures in memory with pictures on disk."""
    for measurement in measure(data, width, batch, images, rounds):
        keep(measurement, json)


if __name__ == "__main__":
    typer.run(main)
