"""``python -m benchmarks.around``: the cost of everything around the arithmetic of a step, as a share of it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from benchmarks.harness import RESULTS, Measurement, keep, quartiles
from benchmarks.prepared import random_images
from ffprobe.config.parsing import merge
from ffprobe.config.preset_files import BASE_PRESET, read_preset
from ffprobe.config.resolve import resolve
from ffprobe.plugin.registry import Registry
from ffprobe.training.session import Session
from ffprobe.training.split import Split

CIFAR, EPOCHS = 45_000, 10
"""Training images of CIFAR-10 without the validation set, and epochs of the run that the recording is compared with."""


class Clock:
    """Accumulates the time spent inside functions."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function so that its time is added."""

        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self.seconds += time.perf_counter() - began

        return timed


def session(width: float, batch: int, steps: int, epochs: int, out: Path) -> Session:
    """The Trifecta with its default probes, on random images of the size of CIFAR-10's."""
    registry = Registry()
    table = merge(read_preset(BASE_PRESET), read_preset("trifecta"))
    training = {"batch_size": batch, "epochs": epochs, "num_evaluations": 1, "test": "never"}
    settings = {"network": {"name": "tff-s", "width": width}, "training": training}
    config = resolve(merge(table, settings), registry)
    train, held = random_images(max(steps * batch, 2), 0), random_images(500, 1)
    split = Split(train, held, None, torch.arange(len(train)), torch.arange(len(held)) + len(train))
    from ffprobe.training import prepared_run as module

    real = module.build
    module.build = lambda config, registry, **more: real(config, registry, split, **more)
    try:
        return Session.start(config, registry, out, overwrite=True)
    finally:
        module.build = real


def main(
    width: Annotated[float, typer.Option(help="Factor for the number of channels of tff-s.")] = 1.0,
    batch: Annotated[int, typer.Option(help="Images per step.")] = 128,
    steps: Annotated[int, typer.Option(help="Steps per epoch.")] = 6,
    rounds: Annotated[int, typer.Option(help="Number of measured epochs.")] = 5,
    json: Annotated[Path, typer.Option(help="Directory for the measurement.")] = RESULTS,
) -> None:
    """Time every part of an ordinary run from inside, so that a busy machine slows all parts equally."""
    with tempfile.TemporaryDirectory() as folder:
        run = session(width, batch, steps, rounds + 1, Path(folder) / "run.h5")
        trainer, experiment = run.trainer, run.trainer.experiment
        step, prepare, record, evaluate = Clock(), Clock(), Clock(), Clock()
        epochs: list[dict[str, float]] = []
        learn = experiment.learner.step
        experiment.network.encode = prepare.around(experiment.network.encode)  # type: ignore[method-assign]
        experiment.learner._batch = prepare.around(experiment.learner._batch)  # type: ignore[attr-defined]

        def timed_steps(*arguments: Any) -> Iterator[Any]:
            updates = iter(learn(*arguments))
            while True:
                began = time.perf_counter()
                update = next(updates, None)
                step.seconds += time.perf_counter() - began
                if update is None:
                    return
                yield update

        experiment.learner.step = timed_steps  # type: ignore[method-assign]
        trainer._sample = record.around(trainer._sample)
        run.recorder.evaluation = record.around(run.recorder.evaluation)
        trainer._evaluate = evaluate.around(trainer._evaluate)
        run_epoch = trainer._run_epoch

        def timed_epoch() -> None:
            before = step.seconds, prepare.seconds, record.seconds, evaluate.seconds
            began = time.perf_counter()
            run_epoch()
            now = step.seconds, prepare.seconds, record.seconds, evaluate.seconds
            spent = [b - a for a, b in zip(before, now, strict=True)]
            whole = time.perf_counter() - began - max(spent[2], 0) - spent[3]
            arithmetic = spent[0] - spent[1]
            epochs.append({"around": whole - arithmetic, "step": arithmetic, "encode and negatives": spent[1]})

        trainer._run_epoch = timed_epoch
        run.run()
    counted = epochs[1:]
    share = [e["around"] / e["step"] for e in counted]
    measurement = Measurement(
        "around",
        f"Everything around the step (loader, augmentation, encoding, negatives, hooks, commits of an epoch of "
        f"{steps} steps) as a share of the arithmetic: tff-s at width {width:g}, 3x32x32, {batch} + {batch} rows.",
    )
    low, middle, high = quartiles(share)
    measurement.promise("share of the step's time", middle, 0.05, "at most")
    full = CIFAR / batch * EPOCHS * quartiles([e["step"] for e in counted])[1] / steps
    measurement.promise(
        f"recording activations twice and goodness once, share of {EPOCHS} epochs of CIFAR-10",
        record.seconds / full,
        0.05,
        "at most",
    )
    measurement.facts = {
        "quartiles of the share": [round(low, 4), round(middle, 4), round(high, 4)],
        "arithmetic of a step (s)": quartiles([e["step"] / steps for e in counted])[1],
        "encoding and negatives of a step (s)": quartiles([e["encode and negatives"] / steps for e in counted])[1],
        "recording, before the first and after the last epoch (s)": record.seconds,
        "one evaluation of 500 images with every label, not counted (s)": evaluate.seconds,
    }
    keep(measurement, json)


if __name__ == "__main__":
    typer.run(main)
