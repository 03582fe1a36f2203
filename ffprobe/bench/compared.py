"""Step costs of several methods and of backpropagation on their bodies, each measured in a process of its own."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

from ffprobe.analysis.result.column import Column
from ffprobe.analysis.result.result import Result
from ffprobe.bench.step_cost import BACKPROP, WAYS, StepCost, measure_step
from ffprobe.errors import FfprobeError
from ffprobe.runtime.processor import processor_model


def compare_steps(
    tables: Mapping[str, Mapping[str, Any]],
    shape: Sequence[int],
    classes: int,
    steps: int,
    show: Callable[[str], None] = lambda text: None,
) -> list[tuple[str, StepCost | str]]:
    """Measure every method in every way, one after another.

    Args:
        tables: complete settings of a run, by the name of the method.
        shape: shape of an input.
        classes: number of classes.
        steps: number of timed pairs of steps.
        show: called with what is measured next.

    Returns:
        (method, its cost, or why it was not measured) for each method and way.
    """
    rows: list[tuple[str, StepCost | str]] = []
    for name, table in tables.items():
        for way in WAYS:
            show(f"{name}, {way}")
            job = {"table": table, "way": way, "shape": list(shape), "classes": classes, "steps": steps}
            rows.append((name, _in_process(job)))
    return rows


def step_costs(rows: Sequence[tuple[str, StepCost | str]], shape: str, classes: int) -> Result:
    """The measured rows as the result of an analysis: a table, CSV and JSON."""
    plain = {name: cost for name, cost in rows if isinstance(cost, StepCost) and cost.way == BACKPROP}
    measured = [(name, cost) for name, cost in rows if isinstance(cost, StepCost)]
    missing = [f"{name}, {reason}" for name, reason in rows if isinstance(reason, str)]
    how = {cost.processor for _, cost in measured}
    notes = [
        f"Random inputs of shape {shape}, {classes} classes; {', '.join(sorted(how))}; {processor_model()}, torch "
        f"{torch.__version__}. Times of one machine compare, those of two do not.",
        "Memory is the peak above what was there before the first step; time and memory of backprop on the same body "
        "are 1.",
    ]
    return Result(
        "bench cost",
        "What does a training step cost, beside backpropagation on the same body?",
        COLUMNS,
        [_row(name, cost, plain.get(name)) for name, cost in measured],
        [*notes, *missing],
    )


COLUMNS = (
    Column("method", "", "preset, with the plugins and settings that were given", key=True),
    Column("way", "", "how its network was trained", key=True),
    Column("time", "ms", "wall time of a step, median", "#.3g", better="lower"),
    Column("times_bp", "1", "that over the time of backprop", ".2f", better="lower"),
    Column("speed", "images/s", "images per second", ",.0f", better="higher"),
    Column("operations", "1e9", "multiply-adds of a step, forward and backward", "#.3g", better="lower"),
    Column("traffic", "GB", "bytes that operations of a step read and write", "#.3g", better="lower"),
    Column("memory", "MB", "peak memory above the start", ",.0f", better="lower"),
    Column("memory_bp", "1", "that over the memory of backprop", ".2f", better="lower"),
    Column("batch", "", "images in a step", "d", detail=True),
)


def _row(name: str, cost: StepCost, plain: StepCost | None) -> tuple[Any, ...]:
    times = cost.seconds / plain.seconds if plain else math.nan
    memory = cost.memory / plain.memory if plain and plain.memory > 0 else math.nan
    return (
        name,
        cost.way,
        1e3 * cost.seconds,
        times,
        cost.batch / cost.seconds,
        cost.multiply_adds / 1e9,
        cost.bytes / 1e9,
        cost.memory / 1e6,
        memory,
        cost.batch,
    )


def _in_process(job: Mapping[str, Any]) -> StepCost | str:
    done = subprocess.run(
        [sys.executable, "-m", "ffprobe.bench.compared"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
    )
    last = (done.stdout.strip().splitlines() or [""])[-1]
    try:
        answer = json.loads(last)
    except ValueError:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return f"{job['way']}: {reason}"
    return answer["failed"] if "failed" in answer else StepCost(**answer)


def main() -> None:
    """Measure the job on stdin, and print its cost as one line of JSON."""
    job = json.load(sys.stdin)
    way = job["way"]
    try:
        cost = measure_step(job["table"], way, job["shape"], job["classes"], job["steps"])
    except FfprobeError as error:
        print(json.dumps({"failed": f"{way}: {error}"}))
    else:
        print(json.dumps(asdict(cost)))


if __name__ == "__main__":
    main()
