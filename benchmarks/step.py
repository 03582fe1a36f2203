"""``python -m benchmarks.step``: one training step against a plain step, and against the rate of convolutions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.harness import RESULTS, compare, keep, quartiles
from benchmarks.plain_trifecta import PlainTrifecta
from benchmarks.prepared import prepared
from ffprobe.runtime.precision import FASTER, native_bf16
from ffprobe.runtime.processor import processor_rates


def main(
    width: Annotated[float, typer.Option(help="Factor for the number of channels of tff-s.")] = 1.0,
    batch: Annotated[int, typer.Option(help="Images per step, plus as many negatives.")] = 128,
    precision: Annotated[str, typer.Option(help="fp32 (as on a machine without native bf16), bf16 or auto.")] = "auto",
    rounds: Annotated[int, typer.Option(help="Number of measured rounds.")] = 7,
    json: Annotated[Path, typer.Option(help="Directory for the measurement.")] = RESULTS,
) -> None:
    """Time two steps of each alternative per round: an even and an odd step of OLU."""
    experiment, images, labels, wrong = prepared(width=width, batch=batch, precision=precision)
    learner = experiment.learner
    channels_last = images.to(memory_format=torch.channels_last)
    count = iter(range(10**9))

    def ours() -> None:
        for _ in range(2):
            for _ in learner.step(channels_last, labels, next(count), 0):
                pass

    def plain(autocast: bool):  # type: ignore[no-untyped-def]
        trifecta = PlainTrifecta(width, autocast=autocast)

        def steps() -> None:
            for _ in range(2):
                trifecta.step(images, labels, wrong)

        return steps

    alternatives = {
        "plain fp32": plain(False),
        "plain bf16 autocast": plain(True),
        "ffprobe": ours,
        "convolution fp32": convolutions("fp32"),
        "convolution bf16": convolutions("bf16"),
    }
    measurement = compare(
        "step" if precision == "auto" else f"step-{precision}",
        f"Training step: two steps of tff-s at width {width:g}, 3x32x32, {batch} positives and {batch} negatives, "
        "Trifecta, against the same update rule written plainly (benchmarks/plain_trifecta.py).",
        alternatives,
        baseline="plain fp32",
        rounds=rounds,
    )
    fast = native_bf16(experiment.device) and processor_rates().speedup >= FASTER
    measurement.promise(
        "ffprobe, times as fast as plain fp32",
        quartiles(measurement.ratios["ffprobe"])[1],
        1.9 if fast and experiment.precision == "bf16" else 1.3,
    )
    share = {}
    rates = [measurement.seconds["convolution fp32"], measurement.seconds["convolution bf16"]]
    best = [CONVOLUTION_OPERATIONS / min(pair) for pair in zip(*rates, strict=True)]
    for what, all_inputs in (("all", True), ("without", False)):
        done = two_steps_operations(width, batch, all_inputs)
        share[what] = [done / s / rate for s, rate in zip(measurement.seconds["ffprobe"], best, strict=True)]
    measurement.promise(
        "share of the better of the two convolution rates, in useful operations", quartiles(share["all"])[1], 0.9
    )
    measurement.facts = {
        "precision": experiment.precision,
        "images a second, ffprobe (positives)": round(2 * batch / quartiles(measurement.seconds["ffprobe"])[1], 1),
        "useful GFLOP of two steps": round(two_steps_operations(width, batch, True) / 1e9, 1),
        "share, without the input gradients that only batch normalization and label embedding learn from": round(
            quartiles(share["without"])[1], 3
        ),
        **{
            f"{name} (GFLOP/s)": round(CONVOLUTION_OPERATIONS / quartiles(measurement.seconds[name])[1] / 1e9, 1)
            for name in ("convolution fp32", "convolution bf16")
        },
    }
    for name in ("convolution fp32", "convolution bf16"):
        del measurement.seconds[name], measurement.ratios[name]
    keep(measurement, json)


IMAGES, CHANNELS, SIDE, REPEATS = 128, 128, 16, 4
CONVOLUTION_OPERATIONS = REPEATS * 2 * IMAGES * 2 * CHANNELS**2 * 9 * SIDE**2


def convolutions(precision: str):  # type: ignore[no-untyped-def]
    """Four forward convolutions from 128 to 256 channels, 3x3 on 16x16, on a batch, as in the middle of tff-s."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    x = torch.randn(IMAGES, CHANNELS, SIDE, SIDE).to(dtype, memory_format=torch.channels_last)
    weight = torch.randn(2 * CHANNELS, CHANNELS, 3, 3).to(dtype, memory_format=torch.channels_last)

    def convolve() -> None:
        with torch.inference_mode():
            for _ in range(REPEATS):
                torch.nn.functional.conv2d(x, weight, padding=1)

    return convolve


def two_steps_operations(width: float, batch: int, all_inputs: bool = True) -> float:
    """Count the multiplications and additions of an even and an odd step of OLU, for convolutions only.

    Every layer computes a forward pass, the gradient of its weight, and the gradient of its input. In a pair, the input
    gradient of the first layer trains the batch normalization on its input (and the label embedding), that of the
    second layer trains the first layer. The last layer is idle in the odd step. Discarded results do not count.

    Args:
        width: factor for the number of channels.
        batch: number of positives, with as many negatives.
        all_inputs: whether the input gradient of the first layer of a pair counts.
    """
    from benchmarks.plain_trifecta import CHANNELS, POOLED

    channels = [max(1, round(c * width)) for c in CHANNELS]
    inputs, side, forward = [4, *channels[:-1]], 32, []
    for index, (i, o) in enumerate(zip(inputs, channels, strict=True)):
        forward.append(2 * 9 * i * o * side * side * 2 * batch)
        side //= 2 if index in POOLED else 1
    second = [forward[i] for i in (1, 3, 5, 2, 4)]  # of a pair
    first = [forward[i] for i in (0, 2, 4, 0, 1, 3)]
    return float(2 * sum(forward) + 2 * sum(forward[:5]) + sum(second) + (sum(first) if all_inputs else 0))


if __name__ == "__main__":
    typer.run(main)
