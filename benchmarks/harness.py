"""Runs alternatives in turn, so that a machine that slows down slows all of them; compares by ratios within a round."""

from __future__ import annotations

import gc
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

import ffprobe
from ffprobe.training.precision import native_bf16


@dataclass
class Measurement:
    """One benchmark's outcome.

    Attributes:
        name: of the benchmark.
        question: one sentence.
        baseline: the alternative that ratios are against.
        seconds: every round's time by alternative.
        ratios: baseline's time over the alternative's in the same round: above 1 is faster than the baseline.
        target: what the ratio of ``subject`` should reach; None when nothing was promised.
        subject: the alternative that the target is about.
        facts: anything else that was measured.
        environment: hardware and versions.
    """

    name: str
    question: str
    baseline: str
    seconds: dict[str, list[float]]
    ratios: dict[str, list[float]] = field(default_factory=dict)
    target: float | None = None
    subject: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)

    @property
    def reached(self) -> float:
        """The median ratio of the subject."""
        return statistics.median(self.ratios[self.subject])


def compare(
    name: str,
    question: str,
    alternatives: Mapping[str, Callable[[], object]],
    *,
    baseline: str,
    rounds: int = 7,
    subject: str = "",
    target: float | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Measurement:
    """Time every alternative once a round, in turning order, after one round that does not count.

    Args:
        name: of the benchmark.
        question: one sentence.
        alternatives: what to run, by name; each call is timed as a whole.
        baseline: one of them.
        rounds: that count.
        subject: which of them the target is about.
        target: the ratio it should reach.
        facts: anything else to keep.
    """
    names = list(alternatives)
    seconds: dict[str, list[float]] = {n: [] for n in names}
    for turn in range(rounds + 1):
        for n in names[turn % len(names) :] + names[: turn % len(names)]:
            gc.collect()
            began = time.perf_counter()
            alternatives[n]()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if turn:
                seconds[n].append(time.perf_counter() - began)
    ratios = {n: [b / s for b, s in zip(seconds[baseline], seconds[n], strict=True)] for n in names}
    return Measurement(name, question, baseline, seconds, ratios, target, subject, dict(facts or {}), environment())


def environment() -> dict[str, Any]:
    """Hardware and versions."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "card": torch.cuda.get_device_name() if device.type == "cuda" else "",
        "native_bf16": native_bf16(device),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "ffprobe": ffprobe.__version__,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def show(measurement: Measurement) -> None:
    """One table on standard output: median time, median ratio and its range."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{measurement.name}: {measurement.question}", title_justify="left")
    for heading in ("alternative", "median s", f"times as fast as {measurement.baseline}", "range"):
        table.add_column(heading)
    for n, seconds in measurement.seconds.items():
        ratios = measurement.ratios[n]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        table.add_row(n, f"{statistics.median(seconds):.4g}", f"{statistics.median(ratios):.2f}", spread)
    console = Console()
    console.print(table)
    for key, value in measurement.facts.items():
        console.print(f"{key}: {value}")
    if measurement.target is not None:
        word = "reached" if measurement.reached >= measurement.target else "MISSED"
        aim = f"target for {measurement.subject}: {measurement.target} times"
        console.print(f"{aim}; {measurement.reached:.2f}, {word}")
    env = measurement.environment
    console.print(f"{env['processor']}, {env['threads']} threads, {env['card'] or 'no card'}, torch {env['torch']}")


def keep(measurement: Measurement, folder: Path) -> Path:
    """Write ``NAME.json`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{measurement.name}.json"
    command = " ".join(["python", "-m", *sys.argv[:1], *sys.argv[1:]])
    path.write_text(json.dumps({**asdict(measurement), "command": command}, indent=1), encoding="utf-8")
    return path
