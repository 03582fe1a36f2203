"""``python -m benchmarks.memory``: peak memory and time of one step by depth, for Forward-Forward and backpropagation.

Every alternative runs in its own process, since the peak of a process never falls. The memory in use before the first
step (libraries, weights, the batch) is measured in the same process and subtracted. On a GPU, memory is what torch
allocated.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import nn
from torch.utils.checkpoint import checkpoint_sequential

from benchmarks.harness import RESULTS, Measurement, keep
from ffprobe.training.trainer import peak_memory

DEPTHS = (6, 12, 24)
WAYS = ("forward-forward", "backprop", "backprop, checkpointed", "backprop, accumulated")
PARTS = 8
"""Parts of the batch in gradient accumulation. The number of checkpointed segments is the square root of the depth."""


def main(
    width: Annotated[int, typer.Option(help="Channels per layer.")] = 64,
    batch: Annotated[int, typer.Option(help="Images per step; Forward-Forward adds as many negatives.")] = 128,
    steps: Annotated[int, typer.Option(help="Number of timed steps.")] = 3,
    one: Annotated[str, typer.Option(help="Internal: WAY/DEPTH, measured in this process.")] = "",
    side: Annotated[int, typer.Option(help="Side of an image, in pixels.")] = 32,
    json_folder: Annotated[Path, typer.Option("--json", help="Directory for the measurement.")] = RESULTS,
) -> None:
    """Measure layers of equal width without pooling, so that only the depth changes."""
    if one:
        way, _, depth = one.rpartition("/")
        print(json.dumps(measure(way, int(depth), width, batch, steps, side)))
        return
    results: dict[tuple[str, int], dict[str, float]] = {}
    for depth in DEPTHS:
        for way in WAYS:
            words = ["--one", f"{way}/{depth}", "--width", str(width), "--batch", str(batch)]
            words += ["--steps", str(steps), "--side", str(side)]
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.memory", *words], stdout=subprocess.PIPE, text=True, check=True
            )
            results[way, depth] = json.loads(done.stdout)
    rows = [
        {
            "way": way,
            **{
                f"{d} layers": f"{results[way, d]['bytes'] / 1e6:.0f} MB, {results[way, d]['seconds']:.3g} s"
                for d in DEPTHS
            },
            f"memory, {DEPTHS[-1]} over {DEPTHS[0]}": round(growth(results, way), 2),
        }
        for way in WAYS
    ]
    measurement = Measurement(
        "memory",
        f"Peak memory above what was there before the first step, and time of a step: {width} channels at "
        f"{side}x{side}, {batch} images (Forward-Forward: as many negatives, too), fp32, equal layers without pooling.",
        rows=rows,
    )
    measurement.promise(
        f"Forward-Forward's memory, {DEPTHS[-1]} layers over {DEPTHS[0]}", growth(results, WAYS[0]), 1.15, "at most"
    )
    keep(measurement, json_folder)


def growth(results: dict[tuple[str, int], dict[str, float]], way: str) -> float:
    """Peak memory of the deepest network divided by that of the shallowest."""
    return results[way, DEPTHS[-1]]["bytes"] / results[way, DEPTHS[0]]["bytes"]


def measure(way: str, depth: int, width: int, batch: int, steps: int, side: int = 32) -> dict[str, float]:
    """Peak memory in bytes above that before the first step, and seconds per step."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sizes = (depth, width, batch, side, device)
    step = forward_forward(*sizes) if way == WAYS[0] else backprop(way, *sizes)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated() if device.type == "cuda" else resident()
    step()
    began = time.perf_counter()
    for _ in range(steps):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    seconds = (time.perf_counter() - began) / steps
    return {"bytes": peak_memory(device) - before, "seconds": seconds, "before": float(before)}


def resident() -> float:
    """Resident set size of the process, in bytes (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return float(pages * 4096)


def forward_forward(depth: int, width: int, batch: int, side: int, device: torch.device) -> Any:
    """The ordinary learner, SymBa with batch normalization and OLU, on ``depth`` equal layers."""
    from benchmarks.prepared import equal_layers, random_images
    from ffprobe.components.base import Params
    from ffprobe.config.parsing import merge
    from ffprobe.config.preset_files import BASE_PRESET, read_preset
    from ffprobe.config.resolve import resolve
    from ffprobe.config.settings import Choice, RunConfig
    from ffprobe.plugin.registry import Registry
    from ffprobe.training.experiment import build
    from ffprobe.training.split import Split

    registry = Registry()
    table = merge(read_preset(BASE_PRESET), read_preset("trifecta"))
    settings = {"training": {"batch_size": batch, "epochs": 1}, "probes": [], "precision": "fp32"}
    config = resolve(merge(table, settings), registry)
    config = RunConfig(config.settings, {**config.slots, "network": Choice(equal_layers(depth, width), Params())})
    nothing = torch.zeros(0, dtype=torch.int64)
    images = random_images(batch, 0, (3, side, side))
    experiment = build(config, registry, Split(images, images, None, nothing, nothing))
    experiment.network.train()
    x, labels = torch.randn(batch, 3, side, side, device=device), torch.zeros(batch, dtype=torch.int64, device=device)
    x = x.contiguous(memory_format=torch.channels_last)
    count = iter(range(10**9))

    def step() -> None:
        for _ in experiment.learner.step(x, labels, next(count), 0):
            pass

    return step


def backprop(way: str, depth: int, width: int, batch: int, side: int, device: torch.device) -> Any:
    """The same layers with a linear head and one loss; a step has as many rows as Forward-Forward has positives."""
    layers: list[nn.Module] = []
    for index in range(depth):
        inputs = 3 if index == 0 else width
        layers.append(
            nn.Sequential(nn.BatchNorm2d(inputs), nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.ReLU())
        )
    head = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(width * 16, 10))
    body = nn.Sequential(*layers).to(device, memory_format=torch.channels_last)
    head = head.to(device)
    optimizer = torch.optim.Adam([*body.parameters(), *head.parameters()])
    x = torch.randn(batch, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(batch, dtype=torch.int64, device=device)
    segments = max(2, round(depth**0.5))

    def through(part: torch.Tensor) -> torch.Tensor:
        if "checkpointed" in way:
            return checkpoint_sequential(body, segments, part, use_reentrant=False)
        return body(part)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        parts = PARTS if "accumulated" in way else 1
        for part, label in zip(x.chunk(parts), labels.chunk(parts), strict=True):
            (nn.functional.cross_entropy(head(through(part)), label) / parts).backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    typer.run(main)
