"""``python -m benchmarks.evaluation RUN.h5...``: evaluators against a full label scan of all test images.

It also measures how sharing the first layer between labels speeds up a scan. Times cover prediction, from pixels to
labels, without calibration on the validation set.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

import ffprobe
from benchmarks.harness import RESULTS, Measurement, compare, keep, quartiles
from ffprobe.analysis.evaluators.read_calibration import read_calibration
from ffprobe.config.parsing import merge
from ffprobe.config.resolve import picks, resolve
from ffprobe.inference.evaluate import label_goodness
from ffprobe.inference.images_to_predict import images_to_predict
from ffprobe.inference.predictor import FullScan, predict
from ffprobe.inference.trained import rebuild
from ffprobe.plugin.registry import Registry

EVALUATORS = {"early exit, pruned": "early-exit:prune=true", "candidates": "candidates", "propose": "propose"}
FULL, PLAIN = "full scan", "plain label scan"


def of_run(path: Path, rounds: int, count: int) -> Measurement:
    """Measure every evaluator in turn on the test images of one run."""
    registry, evaluators = Registry(), {}
    with ffprobe.open(path) as file:
        table: dict[str, Any] = {**file.config, "probes": [], "observers": []}
        config = resolve(table, registry)
        trained = rebuild(file, config, registry, "auto")
        images = images_to_predict(file, config, registry, "test", count)
        for name, spec in EVALUATORS.items():
            evaluator = resolve(merge(table, picks([spec], registry)), registry).slots["evaluator"].build()
            evaluator.calibrate(read_calibration(file, "pre" if "activations" in evaluator.needs else ""))
            evaluators[name] = evaluator
    predictions: dict[str, torch.Tensor] = {}

    def prediction(name: str, evaluator: Any) -> Callable[[], None]:
        def run() -> None:
            predictions[name] = predict(trained, images, evaluator).labels

        return run

    alternatives = {name: prediction(name, evaluator) for name, evaluator in {FULL: FullScan(), **evaluators}.items()}
    what = f"{config.slots['dataset'].component.name}, {config.slots['network'].component.name}, {path.stem}"
    measurement = compare(
        f"evaluation-{path.stem}",
        f"Reading predictions of {len(images)} test images ({what}; {trained.precision}), against every label through "
        "every layer. Evaluators chose on validation images what 0.1 points of accuracy allow.",
        alternatives,
        baseline=FULL,
        rounds=rounds,
    )
    correct = {name: labels == images.labels for name, labels in predictions.items()}
    measurement.facts["accuracy of the full scan (%)"] = round(100 * float(correct[FULL].double().mean()), 2)
    for name in evaluators:
        gain, error = ffprobe.accuracy_gain(correct[FULL], correct[name])
        measurement.facts[f"{name}, gained against the full scan (points)"] = (
            f"{gain:+.2f}, 95 % interval {gain - 1.96 * error:+.2f} to {gain + 1.96 * error:+.2f}"
        )
        measurement.promise(f"{name}, times as fast", quartiles(measurement.ratios[name])[1], 2.0)
        measurement.promise(f"{name}, points lost", -gain, 0.1, "at most")
    return measurement


def sharing(network: str, images: int, rounds: int, **settings: Any) -> Measurement:
    """Measure a label scan that computes the first layer once per image, against a full forward pass per label."""
    from benchmarks.prepared import prepared

    changes = {"network": {"name": network, **settings}}
    experiment, x, _, _ = prepared(batch=images, **changes)
    layered = experiment.network.eval()
    x = x.to(memory_format=torch.channels_last)
    goodness: dict[str, torch.Tensor] = {}

    @torch.inference_mode()
    def shared() -> None:
        with experiment.autocast():
            goodness["shared"] = label_goodness(layered, x)

    @torch.inference_mode()
    def plain() -> None:
        with experiment.autocast():
            passes = [layered(x, torch.full((images,), label)) for label in range(layered.classes)]
            goodness["plain"] = torch.stack(passes, dim=2)

    measurement = compare(
        f"sharing-{network}",
        f"Label scan of {images} images of 3x32x32 through {network}: ffprobe's against a pass for each label.",
        {PLAIN: plain, "ffprobe": shared},
        baseline=PLAIN,
        rounds=rounds,
    )
    measurement.promise("times as fast", quartiles(measurement.ratios["ffprobe"])[1], 1.2 if network == "fcn" else 0.95)
    size = goodness["plain"].abs().amax()
    measurement.facts["largest difference, of the largest goodness"] = float(
        (goodness["shared"] - goodness["plain"]).abs().max() / size
    )
    return measurement


def main(
    runs: Annotated[list[Path] | None, typer.Argument(help="Finished run files.")] = None,
    rounds: Annotated[int, typer.Option(help="Number of measured rounds.")] = 5,
    images: Annotated[int, typer.Option(help="Number of test images; 0 for all.")] = 0,
    batch: Annotated[int, typer.Option(help="Images per label scan, for sharing.")] = 256,
    width: Annotated[float, typer.Option(help="Factor for the width of the networks, for sharing.")] = 1.0,
    json: Annotated[Path, typer.Option(help="Directory for the measurements.")] = RESULTS,
) -> None:
    """Measure evaluators on the given runs, and sharing on untrained networks."""
    for run in runs or []:
        keep(of_run(run, rounds, images), json)
    keep(sharing("tff-s", batch, rounds, width=width), json)
    keep(sharing("fcn", batch, rounds), json)


if __name__ == "__main__":
    typer.run(main)
