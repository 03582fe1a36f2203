"""Times alternatives in turn, so that a machine that slows down slows all of them; compares ratios within a round."""

from __future__ import annotations

import gc
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import ffprobe
from ffprobe.runtime.allocator import preloaded_allocator
from ffprobe.runtime.precision import native_bf16

RESULTS = Path("benchmarks/results")


@dataclass
class Measurement:
    """The result of one benchmark.

    Attributes:
        name: name of the benchmark and of its file.
        question: what is measured, one sentence.
        baseline: the alternative that ratios refer to; empty if nothing is compared.
        seconds: the time of every round, by alternative.
        ratios: the time of the baseline divided by that of the alternative in the same round; above 1 is faster.
        targets: (measured, ``at least`` or ``at most``, target) by the name of the target.
        rows: a table instead of alternatives, one mapping per row.
        facts: other measured values, by name.
        environment: hardware and versions.
        command: the command that measured it.
    """

    name: str
    question: str
    baseline: str = ""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    ratios: dict[str, list[float]] = field(default_factory=dict)
    targets: dict[str, tuple[float, str, float]] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    command: str = ""

    def promise(self, what: str, reached: float, bound: float, kind: str = "at least") -> None:
        """Compare a measured value with its target; ``kind`` is ``at least`` or ``at most``."""
        self.targets[what] = (round(reached, 4), kind, bound)


def compare(
    name: str,
    question: str,
    alternatives: Mapping[str, Callable[[], object]],
    *,
    baseline: str,
    rounds: int = 7,
    facts: Mapping[str, Any] | None = None,
) -> Measurement:
    """Time every alternative once per round, in rotating order, after one warm-up round.

    Args:
        name: name of the benchmark.
        question: what is measured, one sentence.
        alternatives: the functions to time, by name; each call is timed as a whole.
        baseline: the name of the alternative that ratios refer to.
        rounds: number of measured rounds.
        facts: other values to keep, by name.
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
    return Measurement(name, question, baseline, seconds, ratios, facts=dict(facts or {}), environment=environment())


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile; all three are equal for one value."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def environment() -> dict[str, Any]:
    """Hardware and versions."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "card": torch.cuda.get_device_name() if device.type == "cuda" else "",
        "native_bf16": native_bf16(device),
        "allocator": preloaded_allocator(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "ffprobe": ffprobe.__version__,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def show(measurement: Measurement) -> None:
    """Print a measurement in the form of the page."""
    from rich.console import Console
    from rich.markdown import Markdown

    from benchmarks.page import section

    Console().print(Markdown(section(asdict(measurement))))


def keep(measurement: Measurement, folder: Path) -> Path:
    """Write ``NAME.json`` to a directory and print it; the name of a preloaded allocator is appended to NAME."""
    folder.mkdir(parents=True, exist_ok=True)
    measurement.environment = measurement.environment or environment()
    allocator = measurement.environment["allocator"]
    if allocator:
        measurement.name += f"-{allocator.partition('.')[0].removeprefix('lib').partition('_')[0]}"
    path = folder / f"{measurement.name}.json"
    module = Path(sys.argv[0]).stem
    # without the directories of this machine
    arguments = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    first = [f"LD_PRELOAD={allocator}"] if allocator else []
    measurement.command = " ".join([*first, "python", "-m", f"benchmarks.{module}", *arguments])
    path.write_text(json.dumps(asdict(measurement), indent=1) + "\n", encoding="utf-8")
    show(measurement)
    return path
