"""``python -m benchmarks.scale``: is the time of an epoch linear in images, layers and classes?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.harness import RESULTS, compare, keep, quartiles
from benchmarks.prepared import equal_layers, random_images
from ffprobe.components.base import Params
from ffprobe.config.parsing import merge
from ffprobe.config.preset_files import BASE_PRESET, read_preset
from ffprobe.config.resolve import resolve
from ffprobe.config.settings import Choice, RunConfig
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import build
from ffprobe.training.observers import Observers
from ffprobe.training.split import Split
from ffprobe.training.trainer import Trainer


def epochs(images: int, depth: int, classes: int, width: int, batch: int) -> Callable[[], None]:
    """One epoch of training and one evaluation of as many images, with the ordinary trainer."""
    registry = Registry()
    table = merge(read_preset(BASE_PRESET), read_preset("trifecta"))
    training = {"batch_size": batch, "epochs": 1, "num_evaluations": 1, "test": "never"}
    config = resolve(merge(table, {"training": training, "probes": []}), registry)
    config = RunConfig(config.settings, {**config.slots, "network": Choice(equal_layers(depth, width), Params())})
    shape, no_indices = (3, 16, 16), torch.zeros(0, dtype=torch.int64)
    train, validation = (random_images(images, seed, shape, classes) for seed in range(2))
    split = Split(train, validation, None, no_indices, no_indices)

    def run() -> None:
        observers = Observers(registry.manager, lambda *value: None, lambda *message: None)
        Trainer(build(config, registry, split), observers).run()

    return run


def bend(least: float, more: float, most: float) -> float:
    """Time of one more unit in the second doubling divided by that in the first.

    Args:
        least: time for the smallest size.
        more: time for twice that size.
        most: time for four times that size.
    """
    return (most - more) / (2 * (more - least))


def main(
    images: Annotated[int, typer.Option(help="Images in the smallest epoch and in its evaluation.")] = 2048,
    width: Annotated[int, typer.Option(help="Channels per layer.")] = 32,
    batch: Annotated[int, typer.Option(help="Images per step.")] = 64,
    rounds: Annotated[int, typer.Option(help="Number of measured rounds.")] = 5,
    json: Annotated[Path, typer.Option(help="Directory for the measurements.")] = RESULTS,
) -> None:
    """Double images, layers and classes twice each.

    Constant parts of the time (a narrow first layer, training if classes are counted) cancel in the differences.
    """
    for what, sizes in (
        ("images", [(images * f, 6, 10) for f in (1, 2, 4)]),
        ("layers", [(images, 6 * f, 10) for f in (1, 2, 4)]),
        ("classes", [(images, 6, 10 * f) for f in (1, 2, 4)]),
    ):
        axis = ("images", "layers", "classes").index(what)
        names = [f"{size[axis]} {what}" for size in sizes]
        alternatives = {name: epochs(*size, width, batch) for name, size in zip(names, sizes, strict=True)}
        question = f"An epoch of the Trifecta on equal layers of {width} channels at 16x16, against {what}."
        measurement = compare(f"scale-{what}", question, alternatives, baseline=names[0], rounds=rounds)
        what_one_costs = f"what one more of the {what} costs in the second doubling, over the first"
        # from the medians: within a round, the denominator would be a small difference of two noisy times
        measurement.promise(
            what_one_costs, bend(*(quartiles(measurement.seconds[name])[1] for name in names)), 1.1, "at most"
        )
        single = [bend(*times) for times in zip(*(measurement.seconds[name] for name in names), strict=True)]
        measurement.facts["the same from each round alone, quartiles"] = [round(q, 2) for q in quartiles(single)]
        keep(measurement, json)


if __name__ == "__main__":
    typer.run(main)
