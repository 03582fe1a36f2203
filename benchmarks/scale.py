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
    """One epoch of training and one evaluation of as many images, by the ordinary trainer."""
    registry = Registry()
    table = merge(read_preset(BASE_PRESET), read_preset("trifecta"))
    training = {"batch_size": batch, "epochs": 1, "num_evaluations": 1, "test": "never"}
    config = resolve(merge(table, {"training": training, "probes": []}), registry)
    config = RunConfig(config.settings, {**config.slots, "network": Choice(equal_layers(depth, width), Params())})
    shape, nothing = (3, 16, 16), torch.zeros(0, dtype=torch.int64)
    train, held = (random_images(images, seed, shape, classes) for seed in range(2))
    split = Split(train, held, None, nothing, nothing)

    def run() -> None:
        nobody = Observers(registry.manager, lambda *told: None, lambda *failed: None)
        Trainer(build(config, registry, split), nobody).run()

    return run


def bend(least: float, more: float, most: float) -> float:
    """Seconds for one more in the second doubling over those in the first, from times of 1, 2 and 4 times as many."""
    return (most - more) / (2 * (more - least))


def main(
    images: Annotated[int, typer.Option(help="Images of the smallest epoch, and of its evaluation.")] = 2048,
    width: Annotated[int, typer.Option(help="Channels.")] = 32,
    batch: Annotated[int, typer.Option(help="Images a step.")] = 64,
    rounds: Annotated[int, typer.Option(help="Rounds that count.")] = 5,
    json: Annotated[Path, typer.Option(help="Folder for the measurements.")] = RESULTS,
) -> None:
    """Each of the three twice doubled; what does not grow with it (a narrow first layer, training where classes are
    counted) drops out of the differences.
    """
    for what, sizes in (
        ("images", [(images * f, 6, 10) for f in (1, 2, 4)]),
        ("layers", [(images, 6 * f, 10) for f in (1, 2, 4)]),
        ("classes", [(images, 6, 10 * f) for f in (1, 2, 4)]),
    ):
        place = ("images", "layers", "classes").index(what)
        names = [f"{size[place]} {what}" for size in sizes]
        ways = {name: epochs(*size, width, batch) for name, size in zip(names, sizes, strict=True)}
        question = f"An epoch of the Trifecta on equal layers of {width} channels at 16x16, against {what}."
        found = compare(f"scale-{what}", question, ways, baseline=names[0], rounds=rounds)
        what_one_costs = f"what one more of the {what} costs in the second doubling, over the first"
        # of the medians: within a round, the small difference of two noisy times would stand in the denominator
        found.promise(what_one_costs, bend(*(quartiles(found.seconds[name])[1] for name in names)), 1.1, "at most")
        single = [bend(*times) for times in zip(*(found.seconds[name] for name in names), strict=True)]
        found.facts["the same from each round alone, quartiles"] = [round(q, 2) for q in quartiles(single)]
        keep(found, json)


if __name__ == "__main__":
    typer.run(main)
