"""``python -m benchmarks.compile``: training steps, eager and compiled, and the time of compilation."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.harness import RESULTS, Measurement, compare, keep, quartiles
from benchmarks.prepared import prepared
from ffprobe.network.compiling import compile_layers


def steps(network: str, width: float, batch: int, compiled: bool) -> Callable[[], None]:
    """Two training steps on images of 3x32x32: an even and an odd step of OLU."""
    experiment, images, labels, _ = prepared(batch=batch, network={"name": network, "width": width})
    if compiled:
        compile_layers(experiment.network)
    channels_last, count = images.to(memory_format=torch.channels_last), iter(range(10**9))

    def two() -> None:
        for _ in range(2):
            for _ in experiment.learner.step(channels_last, labels, next(count), 0):
                pass

    return two


def of_network(network: str, width: float, batch: int, rounds: int) -> Measurement:
    """Measure eager and compiled steps in turn; compilation starts from an empty cache and is timed separately."""
    eager, compiled = steps(network, width, batch, False), steps(network, width, batch, True)
    eager()
    began = time.perf_counter()
    eager()
    warm = time.perf_counter() - began
    compiled()
    compiling = time.perf_counter() - began - 2 * warm
    measurement = compare(
        f"compile-{network}",
        f"Two training steps of {network} at width {width:g}, 3x32x32, {batch} positives and as many negatives, each "
        "layer and its goodness through torch.compile, against the same steps eager.",
        {"eager": eager, "compiled": compiled},
        baseline="eager",
        rounds=rounds,
    )
    gain = quartiles(measurement.seconds["eager"])[1] - quartiles(measurement.seconds["compiled"])[1]
    measurement.facts = {
        "compiling, from an empty cache (s)": round(compiling, 1),
        "steps until that is paid back": round(2 * compiling / gain) if gain > 0 else "never",
    }
    return measurement


def main(
    networks: Annotated[list[str] | None, typer.Argument(help="Networks as NAME:WIDTH:BATCH.")] = None,
    rounds: Annotated[int, typer.Option(help="Number of measured rounds.")] = 9,
    json: Annotated[Path, typer.Option(help="Directory for the measurements.")] = RESULTS,
) -> None:
    """Measure the Trifecta on each network."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache  # an empty cache, so that nothing compiled earlier is reused
        for spec in networks or ["tff-s:0.25:32", "tff-s:1:128", "fcn:1:128"]:
            network, width, batch = spec.split(":")
            measurement = of_network(network, float(width), int(batch), rounds)
            measurement.name = f"compile-{spec.replace(':', '-')}"
            keep(measurement, json)
            torch._dynamo.reset()


if __name__ == "__main__":
    typer.run(main)
