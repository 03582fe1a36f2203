"""``python -m benchmarks.step``: one training step against the plain one, and against the machine's matrix products."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.harness import RESULTS, compare, keep, quartiles
from benchmarks.plain_trifecta import PlainTrifecta
from benchmarks.prepared import prepared


def main(
    width: Annotated[float, typer.Option(help="Factor on tff-s's channels.")] = 1.0,
    batch: Annotated[int, typer.Option(help="Images a step; as many negatives.")] = 128,
    precision: Annotated[str, typer.Option(help="fp32, as on a machine without native bf16; bf16; auto.")] = "auto",
    rounds: Annotated[int, typer.Option(help="Rounds that count.")] = 7,
    json: Annotated[Path, typer.Option(help="Folder for the measurement.")] = RESULTS,
) -> None:
    """Two steps of each alternative a round: an even and an odd one of OLU."""
    experiment, images, labels, wrong = prepared(width=width, batch=batch, precision=precision)
    learner = experiment.learner
    channels_last = images.to(memory_format=torch.channels_last)
    count = iter(range(10**9))

    def ours() -> None:
        for _ in range(2):
            for _ in learner.step(channels_last, labels, next(count), 0):
                pass

    def plain(autocast: bool):  # type: ignore[no-untyped-def]
        one = PlainTrifecta(width, autocast=autocast)

        def steps() -> None:
            for _ in range(2):
                one.step(images, labels, wrong)

        return steps

    product = matrix_product(experiment.precision)
    alternatives = {
        "plain fp32": plain(False),
        "plain bf16 autocast": plain(True),
        "ffprobe": ours,
        "matrix product": product,
    }
    found = compare(
        "step" if precision == "auto" else f"step-{precision}",
        f"Training step: two steps of tff-s at width {width:g}, 3x32x32, {batch} positives and {batch} negatives, "
        "Trifecta, against the same update rule written plainly (benchmarks/plain_trifecta.py).",
        alternatives,
        baseline="plain fp32",
        rounds=rounds,
    )
    bf16 = experiment.precision == "bf16"
    found.promise("ffprobe, times as fast as plain fp32", quartiles(found.ratios["ffprobe"])[1], 1.9 if bf16 else 1.2)
    share = {}
    for what, all_inputs in (("all", True), ("without", False)):
        done = two_steps_operations(width, batch, all_inputs)
        pairs = zip(found.seconds["ffprobe"], found.seconds["matrix product"], strict=True)
        share[what] = [done / s / (PRODUCT_OPERATIONS / p) for s, p in pairs]
    found.promise("share of the machine's matrix-product rate, in useful operations", quartiles(share["all"])[1], 0.9)
    found.facts = {
        "precision": experiment.precision,
        "images a second, ffprobe (positives)": round(2 * batch / quartiles(found.seconds["ffprobe"])[1], 1),
        "useful GFLOP of two steps": round(two_steps_operations(width, batch, True) / 1e9, 1),
        "share, without the input gradients that only batch normalization and label embedding learn from": round(
            quartiles(share["without"])[1], 3
        ),
        "matrix product (GFLOP/s)": round(PRODUCT_OPERATIONS / quartiles(found.seconds["matrix product"])[1] / 1e9, 1),
    }
    del found.seconds["matrix product"], found.ratios["matrix product"]
    keep(found, json)


SIDE, INNER = 8192, 1152
PRODUCT_OPERATIONS = 4 * 2 * SIDE * INNER * 256


def matrix_product(precision: str):  # type: ignore[no-untyped-def]
    """Four products of the size that a 128-to-256-channel convolution on a batch is."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = torch.randn(SIDE, INNER).to(dtype), torch.randn(INNER, 256).to(dtype)

    def products() -> None:
        for _ in range(4):
            a @ b

    return products


def two_steps_operations(width: float, batch: int, all_inputs: bool = True) -> float:
    """Multiplications and additions that an even and an odd step of OLU need, convolutions alone.

    Every layer runs forward, has the gradient of its weight, and that of its input: by it the first layer of a pair
    teaches the batch normalization on its input (and the label embedding), and the second the first. The last layer is
    idle in the odd step. Nothing that is computed and thrown away counts.

    Args:
        width: factor on the channels.
        batch: positives; as many negatives.
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
