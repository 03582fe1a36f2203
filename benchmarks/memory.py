"""``python -m benchmarks.memory``: peak memory and time of one step against depth, Forward-Forward and backprop.

Every alternative runs in a process of its own, since a process's peak never falls. What a process takes before its
first step (libraries, weights, the batch) is measured in it too and subtracted. On a GPU, what torch allocated.
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

from benchmarks.harness import environment
from ffprobe.training.trainer import peak_memory

DEPTHS = (6, 12, 24)
WAYS = ("forward-forward", "backprop", "backprop, checkpointed", "backprop, accumulated")
PARTS = 8
"""Pieces of the batch in gradient accumulation; as many checkpointed segments as the root of the depth."""


def main(
    width: Annotated[int, typer.Option(help="Channels of every layer.")] = 64,
    batch: Annotated[int, typer.Option(help="Images a step; Forward-Forward adds as many negatives.")] = 128,
    steps: Annotated[int, typer.Option(help="Steps that are timed.")] = 3,
    one: Annotated[str, typer.Option(help="Internal: WAY/DEPTH, measured in this process.")] = "",
    json_folder: Annotated[Path, typer.Option("--json", help="Folder for the measurement.")] = Path(
        "benchmarks/results"
    ),
) -> None:
    """Layers of equal width at 32x32, no pooling, so that depth is all that changes."""
    if one:
        way, _, depth = one.rpartition("/")
        print(json.dumps(measure(way, int(depth), width, batch, steps)))
        return
    rows = []
    for depth in DEPTHS:
        for way in WAYS:
            words = ["--one", f"{way}/{depth}", "--width", str(width), "--batch", str(batch), "--steps", str(steps)]
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.memory", *words], stdout=subprocess.PIPE, text=True, check=True
            )
            rows.append({"way": way, "depth": depth, **json.loads(done.stdout)})
    document = {
        "name": "memory",
        "question": f"one step, {width} channels at 32x32, {batch} images",
        "rows": rows,
        "environment": environment(),
    }
    show(document)
    json_folder.mkdir(parents=True, exist_ok=True)
    (json_folder / "memory.json").write_text(json.dumps(document, indent=1), encoding="utf-8")


def measure(way: str, depth: int, width: int, batch: int, steps: int) -> dict[str, float]:
    """Peak bytes above what was there before the first step, and seconds a step."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sizes = (depth, width, batch, device)
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
    """Bytes of the process that lie in memory now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return float(pages * 4096)


def forward_forward(depth: int, width: int, batch: int, device: torch.device) -> Any:
    """The ordinary learner, SymBa with batch normalization and OLU, on ``depth`` equal layers."""
    from benchmarks.prepared import random_images
    from ffprobe.components import LayerSpec, Network, Params
    from ffprobe.config import BASE_PRESET, Choice, RunConfig, merge, read_preset, resolve
    from ffprobe.registry import Registry
    from ffprobe.training.experiment import Split, build

    class Equal(Network):
        name = "equal"

        def layers(self, shape: Any, classes: int) -> list[LayerSpec]:
            return [LayerSpec("conv", width) for _ in range(depth)]

    registry = Registry()
    table = merge(read_preset(BASE_PRESET), read_preset("trifecta"))
    settings = {"training": {"batch_size": batch, "epochs": 1}, "probes": [], "precision": "fp32"}
    config = resolve(merge(table, settings), registry)
    config = RunConfig(config.settings, {**config.slots, "network": Choice(Equal, Params())})
    nothing = torch.zeros(0, dtype=torch.int64)
    images = random_images(batch, 0)
    experiment = build(config, registry, Split(images, images, None, nothing, nothing))
    experiment.stack.train()
    x, labels = torch.randn(batch, 3, 32, 32, device=device), torch.zeros(batch, dtype=torch.int64, device=device)
    x = x.contiguous(memory_format=torch.channels_last)
    count = iter(range(10**9))

    def step() -> None:
        for _ in experiment.learner.step(x, labels, next(count), 0):
            pass

    return step


def backprop(way: str, depth: int, width: int, batch: int, device: torch.device) -> Any:
    """The same layers with a linear head and one loss; as many rows a step as Forward-Forward has positives."""
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
    x = torch.randn(batch, 3, 32, 32, device=device).contiguous(memory_format=torch.channels_last)
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


def show(document: dict[str, Any]) -> None:
    """Memory and time by depth."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=document["question"], title_justify="left")
    for heading in ("way", *(f"{d} layers" for d in DEPTHS), f"{DEPTHS[-1]} over {DEPTHS[0]}"):
        table.add_column(heading)
    for way in WAYS:
        own = {row["depth"]: row for row in document["rows"] if row["way"] == way}
        cells = [f"{own[d]['bytes'] / 1e6:.0f} MB, {own[d]['seconds']:.2f} s" for d in DEPTHS]
        table.add_row(way, *cells, f"{own[DEPTHS[-1]]['bytes'] / own[DEPTHS[0]]['bytes']:.2f}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
