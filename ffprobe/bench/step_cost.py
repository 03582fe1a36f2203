"""What one training step costs, measured in this process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ffprobe.bench.backprop import PARTS, Step, backprop_step
from ffprobe.config.parsing import merge
from ffprobe.config.resolve import resolve
from ffprobe.data.images import Images
from ffprobe.data.samples import Samples
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import Experiment, build
from ffprobe.training.operation_counter import OperationCounter
from ffprobe.training.split import Split
from ffprobe.training.trainer import peak_memory

LOCAL, BACKPROP = "as configured", "backprop"
WAYS = (LOCAL, BACKPROP, "backprop, checkpointed", "backprop, accumulated")
"""The ways to train one body: by the configured method, and by backpropagation of a cross entropy at its end."""
BODY: dict[str, Any] = {
    "scheduler": {"name": "whole"},
    "rule": {"name": "forward-forward"},
    "loss": {"name": "cross-entropy"},
    "evaluator": {"name": "layer-goodness"},
}
"""What backpropagation replaces of a config; a config of form ``pair`` also loses its encoder and goodness."""
PAIR_BODY: dict[str, Any] = {"encoder": {"name": "no-label"}, "goodness": {"name": "linear-head"}}


@dataclass(frozen=True)
class StepCost:
    """What one training step costs.

    Attributes:
        way: one of ``WAYS``.
        seconds: wall time of a step, median.
        multiply_adds: of a step, forward and backward, as torch counts them.
        bytes: that operations of a step read and write, as if nothing were cached or fused.
        memory: peak memory in bytes above what was there before the first step: of the process on a CPU, allocated by
            torch on a GPU.
        batch: images in a step.
        processor: precision, threads and device of the measurement.
    """

    way: str
    seconds: float
    multiply_adds: float
    bytes: float
    memory: float
    batch: int
    processor: str


def measure_step(table: Mapping[str, Any], way: str, shape: Sequence[int], classes: int, steps: int) -> StepCost:
    """Measure steps on random inputs; time and memory do not depend on their values.

    Run it in a process of its own, since the peak of a process's memory never falls. Two successive steps are timed
    together, because the groups of some schedules take turns.

    Args:
        table: settings of a run, complete.
        way: one of ``WAYS``.
        shape: shape of an input, ``[C, H, W]`` for pixels, else of values.
        classes: number of classes.
        steps: number of timed pairs of steps, at least 1.

    Raises:
        FfprobeError: the method cannot be built for these inputs, or this way does not fit the body.
    """
    registry = Registry()
    experiment, inputs, labels = _build(table, way, shape, classes, registry)
    experiment.network.train()
    step = _step(experiment, way)
    device = experiment.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device) if device.type == "cuda" else _resident()
    seconds = []
    for round_ in range(steps + 1):
        began = time.perf_counter()
        for _ in range(2):
            step(inputs, labels)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if round_:  # the first pair chooses algorithms and fills caches
            seconds.append((time.perf_counter() - began) / 2)
    memory = peak_memory(device) - before
    with OperationCounter() as counter:
        for _ in range(2):
            step(inputs, labels)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    return StepCost(
        way,
        statistics.median(seconds),
        counter.multiply_adds / 2,
        counter.bytes / 2,
        memory,
        len(inputs),
        f"{experiment.precision}, {where}",
    )


def _build(
    table: Mapping[str, Any], way: str, shape: Sequence[int], classes: int, registry: Registry
) -> tuple[Experiment, torch.Tensor, torch.Tensor]:
    config = resolve(merge(dict(table), {"probes": [], "observers": []}), registry)
    if way != LOCAL:
        pair = config.slots["goodness"].component.form == "pair"  # type: ignore[attr-defined]
        config = resolve(merge(config.to_dict(), {**BODY, **(PAIR_BODY if pair else {})}), registry)
    batch = config.settings.training.batch_size
    samples = _random(batch, shape, classes)
    nothing = torch.zeros(0, dtype=torch.int64)
    experiment = build(config, registry, Split(samples, samples, None, nothing, nothing))
    inputs, labels, _ = next(iter(experiment.loader))
    return experiment, inputs, labels


def _step(experiment: Experiment, way: str) -> Step:
    if way == LOCAL:
        count = iter(range(10**9))

        def step(inputs: torch.Tensor, labels: torch.Tensor) -> None:
            for _ in experiment.learner.step(inputs, labels, next(count), 0):
                pass

        return step
    return backprop_step(experiment, checkpointed="checkpointed" in way, parts=PARTS if "accumulated" in way else 1)


def _random(count: int, shape: Sequence[int], classes: int) -> Samples:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (count,), generator=generator)
    names = tuple(map(str, range(classes)))
    if len(shape) == 3:
        pixels = torch.randint(256, (count, *shape), generator=generator, dtype=torch.uint8)
        return Images(pixels, labels, names, (0.5,) * shape[0], (0.25,) * shape[0])
    return Samples(torch.randn(count, *shape, generator=generator), labels, names, (0.0,) * shape[0], (1.0,) * shape[0])


def _resident() -> float:
    """Resident set size of the process in bytes; the peak so far where the system has no /proc."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return peak_memory(torch.device("cpu"))
    import resource

    return float(int(statm.read_text().split()[1]) * resource.getpagesize())
