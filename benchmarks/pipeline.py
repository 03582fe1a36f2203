"""``python -m benchmarks.pipeline``: layers in parallel against one process and against data parallel.

The processes of every alternative are started once and take turns, one epoch each, so that a machine that slows down
slows all of them. An epoch includes filling and draining the pipeline and gathering the weights, not an evaluation.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.harness import RESULTS, Measurement, environment, keep, quartiles
from benchmarks.pipeline_simulation import Simulated, simulate
from ffprobe.config.parsing import merge
from ffprobe.config.preset_files import BASE_PRESET, read_preset
from ffprobe.config.resolve import resolve
from ffprobe.distributed.placement import place
from ffprobe.plugin.registry import Registry
from ffprobe.training.groups import groups_of_step
from ffprobe.training.pipeline.step_plan import Work, step_plan

WAYS = {
    "1 process, 1 thread": (1, 1, "batch"),
    "1 process, 2 threads": (1, 2, "batch"),
    "2 processes, data parallel": (2, 1, "batch"),
    "2 processes, layers in parallel": (2, 1, "layers"),
}
"""Processes, threads of each, and the setting ``parallel``."""

SCHEDULES = {
    "backpropagation, 1 process, 1 thread": (1, ""),
    "backpropagation, 2 processes, torch's GPipe": (2, "gpipe"),
    "backpropagation, 2 processes, torch's 1F1B": (2, "1f1b"),
}
"""Processes and schedule of backpropagation on the same body, for networks without shortcuts."""
ALONE = next(iter(SCHEDULES))
SEPARATE = "2 processes, a run of its own in each"
"""What the machine's two cores give to programs that have nothing to do with each other: the ceiling."""
ONE, LAYERS = "1 process, 1 thread", "2 processes, layers in parallel"
SIZES = (2, 4, 8, 16)
LINK = 1e9
"""Bytes per second of a link in the simulation: what one loopback connection was seen to carry, about 10 Gbit/s."""


class Alternative:
    """The processes of one alternative, which wait for a line between two turns.

    Args:
        processes: their number.
        threads: of each.
        choices: what they train.
        separate: whether they train separate runs.
    """

    def __init__(self, processes: int, threads: int, choices: dict[str, Any], separate: bool = False) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        words = [sys.executable, "-m", "benchmarks.pipeline_process", json.dumps({**choices, "threads": threads})]
        size = 1 if separate else processes
        group = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        self.processes = [
            subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={
                    **os.environ,
                    **group,
                    "RANK": str(rank),
                    "LOCAL_RANK": str(rank),
                    "OMP_NUM_THREADS": str(threads),
                },
            )
            for rank in range(processes)
        ]
        self.facts = self._answers()

    def turn(self, line: str = "go") -> list[dict[str, Any]]:
        """Let every process work; their answers."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(line + "\n")
            process.stdin.flush()
        return self._answers()

    def close(self) -> None:
        """End the processes."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self.processes:
            process.wait(60)

    def _answers(self) -> list[dict[str, Any]]:
        answers = []
        for process in self.processes:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise SystemExit("a process of the benchmark has ended; its reason is above")
            answers.append(json.loads(line))
        return answers


def main(
    preset: Annotated[str, typer.Option(help="Preset of the method.")] = "trifecta",
    network: Annotated[str, typer.Option(help="Network.")] = "tff-d",
    width: Annotated[float, typer.Option(help="Factor for the number of channels.")] = 0.25,
    batch: Annotated[int, typer.Option(help="Images per step.")] = 32,
    steps: Annotated[int, typer.Option(help="Steps per epoch.")] = 12,
    rounds: Annotated[int, typer.Option(help="Number of measured rounds, after one that is not measured.")] = 5,
    backpropagation: Annotated[
        bool, typer.Option(help="Backpropagation by torch's pipeline schedules too; the network has no shortcuts.")
    ] = True,
    json_folder: Annotated[Path, typer.Option("--json", help="Directory for the measurement.")] = RESULTS,
) -> None:
    """Measure throughput, memory, traffic and waiting; simulate more processes from the measured works."""
    choices = {"preset": preset, "network": network, "width": width, "batch": batch, "steps": steps}
    ways = {
        name: Alternative(count, threads, {**choices, "parallel": kind})
        for name, (count, threads, kind) in WAYS.items()
    }
    ways[SEPARATE] = Alternative(2, 1, {**choices, "parallel": "batch"}, separate=True)
    if backpropagation:
        for name, (count, schedule) in SCHEDULES.items():
            ways[name] = Alternative(count, 1, {**choices, "parallel": "batch", "schedule": schedule})
    answers: dict[str, list[list[dict[str, Any]]]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        names = list(ways)[turn % len(ways) :] + list(ways)[: turn % len(ways)]
        for name in names:
            answer = ways[name].turn()
            if turn:
                answers[name].append(answer)
    measured = ways[ONE].turn(json.dumps(SIZES))[0]
    facts = {name: way.facts for name, way in ways.items()}
    for way in ways.values():
        way.close()
    other = {name: answers.pop(name) for name in SCHEDULES if name in answers}
    apart = [max(one["seconds"] for one in turn) for turn in answers.pop(SEPARATE)]
    measurement = report(choices, answers, facts, measured)
    low, ceiling, high = quartiles([2 * a / b for a, b in zip(measurement.seconds[ONE], apart, strict=True)])
    measurement.facts |= {
        f"times as fast as one process: {SEPARATE}": f"{ceiling:.2f} ({low:.2f} to {high:.2f})",
        "layers in parallel, of this ceiling": round(quartiles(measurement.ratios[LAYERS])[1] / ceiling, 2),
    }
    if other:
        measurement.facts |= pipelined(other, facts)
    keep(measurement, json_folder)


def report(choices: dict[str, Any], answers: Any, facts: Any, measured: dict[str, Any]) -> Measurement:
    """The measurement, from the answers of all processes by alternative and round."""
    seconds = {name: [max(one["seconds"] for one in turn) for turn in turns] for name, turns in answers.items()}
    ratios = {n: [a / b for a, b in zip(seconds[ONE], seconds[n], strict=True)] for n in seconds}
    measurement = Measurement(
        f"pipeline-{choices['network']}",
        f"An epoch of {choices['steps']} steps of {choices['batch']} random images of 3x32x32, {choices['preset']} on "
        f"{choices['network']} at width {choices['width']:g}, float32, without evaluation.",
        ONE,
        seconds,
        ratios,
        environment=environment(),
    )
    # depends less on other programs: the time of the busier process if it never waited for a core or a peer
    busiest = {name: [max(one["processor"] for one in turn) for turn in turns] for name, turns in answers.items()}
    measurement.facts["processor time of one process over that of the busier of two, layers in parallel"] = round(
        statistics.median(a / b for a, b in zip(busiest[ONE], busiest[LAYERS], strict=True)), 2
    )
    measurement.environment["threads"] = "1 or 2, by alternative"
    # the peak begins with what the process has from its preparation, the same in every alternative: differences count
    for name, turns in answers.items():
        peaks = [max(turn[rank]["peak"] for turn in turns) for rank in range(len(turns[0]))]
        own = [peak - fact["libraries"] for peak, fact in zip(peaks, facts[name], strict=True)]
        measurement.facts[f"peak memory without libraries, {name} (MB)"] = [round(value / 1e6) for value in own]
    layers = answers[LAYERS]
    median = [
        {key: statistics.median(turn[rank][key] for turn in layers) for key in ("sent", "waited", "seconds")}
        for rank in range(2)
    ]
    measurement.facts |= {
        "placement": facts[LAYERS][0]["placement"],
        "bytes sent per step, by process (MB)": [round(one["sent"] / choices["steps"] / 1e6, 2) for one in median],
        "share of time spent waiting, by process": [round(one["waited"] / one["seconds"], 2) for one in median],
    }
    rows = simulated(choices, measured)
    measurement.rows = rows
    measurement.promise("2 processes with layers in parallel, times as fast as one", quartiles(ratios[LAYERS])[1], 1.8)
    largest = max(measurement.facts[f"peak memory without libraries, {LAYERS} (MB)"])
    whole = measurement.facts[f"peak memory without libraries, {ONE} (MB)"][0]
    measurement.promise("memory of the larger process, of that of one process", largest / whole, 0.6, "at most")
    measurement.facts["simulated for 2 processes over measured"] = round(
        rows[0]["times as fast"] / quartiles(ratios[LAYERS])[1], 2
    )
    return measurement


def pipelined(answers: Any, facts: Any) -> dict[str, Any]:
    """What pipelining gives backpropagation on the same body: throughput and memory, against its own single process."""
    seconds = {name: [max(one["seconds"] for one in turn) for turn in turns] for name, turns in answers.items()}
    found: dict[str, Any] = {}
    for name, turns in answers.items():
        if name != ALONE:
            ratios = [a / b for a, b in zip(seconds[ALONE], seconds[name], strict=True)]
            low, median, high = quartiles(ratios)
            found[f"times as fast as one process of it: {name}"] = f"{median:.2f} ({low:.2f} to {high:.2f})"
        peaks = [max(turn[rank]["peak"] for turn in turns) for rank in range(len(turns[0]))]
        own = [peak - fact["libraries"] for peak, fact in zip(peaks, facts[name], strict=True)]
        found[f"peak memory without libraries, {name} (MB)"] = [round(value / 1e6) for value in own]
    return found


def simulated(choices: dict[str, Any], measured: dict[str, Any]) -> list[dict[str, Any]]:
    """A table of 2, 4, 8 and 16 processes, each alone on its core, from the works that one process measured."""
    registry = Registry()
    table = merge(read_preset(BASE_PRESET), read_preset(choices["preset"]))
    config = resolve(merge(table, {"network": {"name": choices["network"], "width": choices["width"]}}), registry)
    scheduler, depth = config.slots["scheduler"].build(), measured["depth"]
    seconds = {Work(kind, start, stop): value for kind, start, stop, value in measured["works"]}
    steps = [groups_of_step(scheduler, step, 0, depth) for step in range(500)]
    weight = [*measured["weight_bytes"], 0]

    def on(size: int) -> Simulated:
        by_layer = [0.0] * depth
        for groups in steps[:4]:
            for work in step_plan(groups, place([1.0] * depth, 1)).works:
                by_layer[work.stop - 1] += seconds[work] / 4
        placement = place(by_layer, size, measured["batch"])
        borders = [*placement.starts[1:], depth]
        return simulate(
            steps,
            placement,
            seconds,
            measured["batch"],
            lambda rank: measured["input_bytes"][borders[rank]] / LINK,
            lambda layer: weight[layer] / LINK,
        )

    one = on(1)
    rows = []
    for size in SIZES:
        if size <= depth:
            result = on(size)
            rows.append(
                {
                    "processes (simulated)": size,
                    "times as fast": round(one.seconds / result.seconds, 2),
                    "idle share": round(result.idle, 2),
                }
            )
    return rows


if __name__ == "__main__":
    typer.run(main)
