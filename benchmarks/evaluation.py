"""``python -m benchmarks.evaluation RUN.h5...``: evaluators against a full sweep on all test images; sharing by itself.

Time is that of reading predictions alone, from pixels to labels; choosing on the validation set comes before it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

import ffprobe
from benchmarks.harness import RESULTS, Measurement, compare, keep, quartiles
from ffprobe.analysis.evaluators.calibrating import read_calibration
from ffprobe.config.parsing import merge
from ffprobe.config.resolve import picks, resolve
from ffprobe.inference.evaluate import label_goodness
from ffprobe.inference.images_to_predict import images_to_predict
from ffprobe.inference.predictor import FullSweep, predict
from ffprobe.inference.trained import rebuild
from ffprobe.plugin.registry import Registry

READERS = {"early exit, pruned": "early-exit:prune=true", "candidates": "candidates", "propose": "propose"}
FULL, PLAIN = "full sweep", "plain label sweep"


def of_run(path: Path, rounds: int, count: int) -> Measurement:
    """Every evaluator on the test images of one run, in turn."""
    registry, readers = Registry(), {}
    with ffprobe.open(path) as file:
        table: dict[str, Any] = {**file.config, "probes": [], "observers": []}
        config = resolve(table, registry)
        trained = rebuild(file, config, registry, "auto")
        images = images_to_predict(file, config, registry, "test", count)
        for name, word in READERS.items():
            reader = resolve(merge(table, picks([word], registry)), registry).slots["evaluator"].build()
            reader.calibrate(read_calibration(file, "pre" if "activations" in reader.needs else ""))
            readers[name] = reader
    named: dict[str, torch.Tensor] = {}

    def reading(name: str, reader: Any) -> Callable[[], None]:
        def read() -> None:
            named[name] = predict(trained, images, reader).labels

        return read

    ways = {name: reading(name, reader) for name, reader in {FULL: FullSweep(), **readers}.items()}
    what = f"{config.slots['dataset'].component.name}, {config.slots['network'].component.name}, {path.stem}"
    found = compare(
        f"evaluation-{path.stem}",
        f"Reading predictions of {len(images)} test images ({what}; {trained.precision}), against every label through "
        "every layer. Evaluators chose on validation images what 0.1 points of accuracy allow.",
        ways,
        baseline=FULL,
        rounds=rounds,
    )
    right = {name: labels == images.labels for name, labels in named.items()}
    found.facts["accuracy of the full sweep (%)"] = round(100 * float(right[FULL].double().mean()), 2)
    for name in readers:
        gain, error = ffprobe.accuracy_gain(right[FULL], right[name])
        found.facts[f"{name}, gained against the full sweep (points)"] = (
            f"{gain:+.2f}, 95 % interval {gain - 1.96 * error:+.2f} to {gain + 1.96 * error:+.2f}"
        )
        found.promise(f"{name}, times as fast", quartiles(found.ratios[name])[1], 2.0)
        found.promise(f"{name}, points lost", -gain, 0.1, "at most")
    return found


def sharing(network: str, images: int, rounds: int, **settings: Any) -> Measurement:
    """The first layer's part of the image computed once for all labels, against a pass of the whole for each."""
    from benchmarks.prepared import prepared

    changes = {"network": {"name": network, **settings}}
    experiment, x, _, _ = prepared(batch=images, **changes)
    layered = experiment.network.eval()
    x = x.to(memory_format=torch.channels_last)
    found: dict[str, torch.Tensor] = {}

    @torch.inference_mode()
    def shared() -> None:
        with experiment.autocast():
            found["shared"] = label_goodness(layered, x)

    @torch.inference_mode()
    def plain() -> None:
        with experiment.autocast():
            passes = [layered(x, torch.full((images,), label)) for label in range(layered.classes)]
            found["plain"] = torch.stack(passes, dim=2)

    one = compare(
        f"sharing-{network}",
        f"Label sweep of {images} images of 3x32x32 through {network}: ffprobe's against a pass for each label.",
        {PLAIN: plain, "ffprobe": shared},
        baseline=PLAIN,
        rounds=rounds,
    )
    one.promise("times as fast", quartiles(one.ratios["ffprobe"])[1], 1.2 if network == "fcn" else 0.95)
    size = found["plain"].abs().amax()
    one.facts["largest difference, of the largest goodness"] = float(
        (found["shared"] - found["plain"]).abs().max() / size
    )
    return one


def main(
    runs: Annotated[list[Path] | None, typer.Argument(help="Finished run files.")] = None,
    rounds: Annotated[int, typer.Option(help="Rounds that count.")] = 5,
    images: Annotated[int, typer.Option(help="The first so many test images; 0 for all.")] = 0,
    batch: Annotated[int, typer.Option(help="Images of the sharing's sweep.")] = 256,
    width: Annotated[float, typer.Option(help="Factor on the networks' width, for sharing.")] = 1.0,
    json: Annotated[Path, typer.Option(help="Folder for the measurements.")] = RESULTS,
) -> None:
    """Evaluators on each run given; sharing on untrained networks."""
    for run in runs or []:
        keep(of_run(run, rounds, images), json)
    keep(sharing("tff-s", batch, rounds, width=width), json)
    keep(sharing("fcn", batch, rounds), json)


if __name__ == "__main__":
    typer.run(main)
