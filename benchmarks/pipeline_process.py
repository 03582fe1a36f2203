"""One process of an alternative of ``benchmarks.pipeline``: trains an epoch for every line on its standard input."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.pipeline_schedule import BackpropagationLearner
from benchmarks.prepared import random_images
from ffprobe.components.process_group import ProcessGroup
from ffprobe.config.parsing import merge
from ffprobe.config.preset_files import BASE_PRESET, read_preset
from ffprobe.config.resolve import resolve
from ffprobe.distributed.processes import process_group
from ffprobe.network.multiply_adds import multiply_adds
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import Experiment, build
from ffprobe.training.pipeline.build_stage import stage_loader
from ffprobe.training.pipeline.work_seconds import measure, provisional, work_frequencies
from ffprobe.training.split import Split


def memory(name: str) -> int:
    """A value of /proc/self/status in bytes: VmRSS now, or VmHWM, the peak since the last reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def reset_peak() -> None:
    """Let the peak of this process's memory begin from what it uses now."""
    Path("/proc/self/clear_refs").write_text("5")


def experiment(choices: dict[str, Any], group: Any) -> Experiment:
    """The experiment of the benchmark.

    Args:
        choices: ``preset``, ``network``, ``width``, ``batch``, ``steps``, ``parallel``; with ``schedule``, the network
            is that of backpropagation, and every process has all of it.
        group: the processes.
    """
    registry = Registry()
    backpropagation = "schedule" in choices
    table = merge(read_preset(BASE_PRESET), read_preset("bp" if backpropagation else choices["preset"]))
    network = {"name": choices["network"], "width": choices["width"]}
    training = {"batch_size": choices["batch"], "epochs": 100}
    changes = {"network": network, "training": training, "probes": [], "precision": "fp32", "device": "cpu"}
    config = resolve(merge(table, {**changes, "parallel": choices["parallel"]}), registry)
    images, none = random_images(choices["batch"] * choices["steps"], 0), torch.zeros(0, dtype=torch.int64)
    group = ProcessGroup() if backpropagation else group
    return build(config, registry, Split(images, images, None, none, none), process_group=group)


def works(made: Experiment, placements: list[int]) -> dict[str, Any]:
    """Seconds of every work of a step in this process, for every number of processes that is simulated."""
    from ffprobe.distributed.placement import Placement
    from ffprobe.training.pipeline.build_stage import _batch_seconds

    setup, depth, steps = made.setup, made.network.depth, len(made.loader)
    costs = multiply_adds(made.network, made.split.train.shape)
    whole = work_frequencies(setup, Placement((0,), depth), 100, steps)
    needed = set(whole)
    for size in (count for count in placements if count <= depth):
        needed |= set(work_frequencies(setup, provisional(whole, costs, size), 100, steps))
    seconds, _ = measure(sorted(needed, key=str), setup, made.components["rule"], *made.loader.preview())  # type: ignore[arg-type]
    inputs = [torch.Size(made.network.layer(i).input_shape).numel() for i in range(depth)]
    rows = made.loader.batch_size * (2 if made.network.form == "pair" else 1)
    weights = [sum(p.numel() for p in made.network.layer(i).parameters()) * 4 for i in range(depth)]
    return {
        "works": [[work.kind, work.start, work.stop, value] for work, value in seconds.items()],
        "batch": _batch_seconds(made.loader),
        "input_bytes": [4 * rows * size for size in inputs],
        "weight_bytes": weights,
        "depth": depth,
    }


def epoch(made: Experiment, number: int) -> dict[str, Any]:
    """Train one epoch as the trainer does, without evaluation; its time, memory, traffic and waiting."""
    group, stage, steps = made.process_group, made.pipeline, len(made.loader)
    before = (stage.transfers.traffic.sent, stage.transfers.traffic.waited) if stage else (0, 0.0)
    reset_peak()
    group.barrier()
    began, processor = time.perf_counter(), time.process_time()
    for step, (x, labels, _) in enumerate(stage_loader(made.loader, stage.grid) if stage else made.loader):
        for _ in made.learner.step(x, labels, number * steps + step, number):
            pass
    trained = time.perf_counter() - began
    if stage:
        stage.synchronize(torch.zeros(1, made.network.depth))
    processor = time.process_time() - processor
    group.barrier()
    seconds = time.perf_counter() - began
    sent, waited = (stage.transfers.traffic.sent, stage.transfers.traffic.waited) if stage else (0, 0.0)
    return {
        "seconds": seconds,
        "trained": trained,
        "processor": processor,
        "peak": memory("VmHWM"),
        "sent": sent - before[0],
        "waited": waited - before[1],
    }


def backpropagation_epoch(made: Experiment, learner: BackpropagationLearner, group: ProcessGroup) -> dict[str, Any]:
    """Train one epoch by backpropagation; time and memory as in ``epoch``."""
    reset_peak()
    group.barrier()
    began, processor = time.perf_counter(), time.process_time()
    for images, labels, _ in made.loader:
        learner.step(images, labels)
    processor = time.process_time() - processor
    group.barrier()
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "trained": seconds, "processor": processor, "peak": memory("VmHWM")}


def main() -> None:
    """Answer every line with one line of JSON."""
    choices = json.loads(sys.argv[1])
    torch.set_num_threads(choices["threads"])
    libraries = memory("VmRSS")
    with process_group("cpu") as group:
        made = experiment(choices, group)
        made.network.train()
        made.learner.set_learning_rate(1e-4)
        other = BackpropagationLearner(made, choices["schedule"]) if "schedule" in choices else None
        facts: dict[str, Any] = {"libraries": libraries, "rank": int(os.environ.get("RANK", "0"))}
        if made.pipeline:
            facts["placement"] = made.pipeline.placement.to_dict()
        print(json.dumps(facts), flush=True)
        for number, line in enumerate(sys.stdin):
            if other:
                answer = backpropagation_epoch(made, other, group)
            else:
                answer = works(made, json.loads(line)) if line.startswith("[") else epoch(made, number)
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
