"""``python -m benchmarks.step``: one training step against the plain one, and against the machine's matrix products."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.harness import compare, keep, show
from benchmarks.plain_trifecta import PlainTrifecta
from benchmarks.prepared import prepared


def main(
    width: Annotated[float, typer.Option(help="Factor on tff-s's channels.")] = 1.0,
    batch: Annotated[int, typer.Option(help="Images a step; as many negatives.")] = 128,
    rounds: Annotated[int, typer.Option(help="Rounds that count.")] = 7,
    json: Annotated[Path, typer.Option(help="Folder for the measurement.")] = Path("benchmarks/results"),
) -> None:
    """Two steps of each alternative a round: an even and an odd one of OLU."""
    experiment, images, labels, wrong = prepared(width=width, batch=batch)
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

    operations = two_steps_operations(width, batch)
    product = matrix_product(experiment.precision)
    found = compare(
        "step",
        f"tff-s, width {width}, 3x32x32, {batch} positives and {batch} negatives: two steps",
        {"plain fp32": plain(False), "plain bf16 autocast": plain(True), "ffprobe": ours, "matrix product": product},
        baseline="plain fp32",
        rounds=rounds,
        subject="ffprobe",
        target=1.9 if experiment.precision == "bf16" else 1.2,
    )
    rates = {
        "ffprobe": [operations / s for s in found.seconds["ffprobe"]],
        "matrix product": [PRODUCT_OPERATIONS / s for s in found.seconds["matrix product"]],
    }
    share = sorted(a / b for a, b in zip(rates["ffprobe"], rates["matrix product"], strict=True))
    found.facts = {
        "precision": experiment.precision,
        "images a second, ffprobe": round(2 * batch / sorted(found.seconds["ffprobe"])[rounds // 2], 1),
        "useful GFLOP of two steps": round(operations / 1e9, 1),
        "ffprobe's share of the matrix product's rate": [round(s, 3) for s in share],
        "median share": round(share[len(share) // 2], 3),
    }
    del found.seconds["matrix product"], found.ratios["matrix product"]
    show(found)
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


def two_steps_operations(width: float, batch: int) -> float:
    """Multiplications and additions that an even and an odd step of OLU need, convolutions alone.

    Every layer runs forward, has the gradient of its weight, and, as the second of a pair, the gradient of its input.
    The last layer is idle in the odd step. Nothing that is computed and thrown away counts.
    """
    from benchmarks.plain_trifecta import CHANNELS, POOLED

    channels = [max(1, round(c * width)) for c in CHANNELS]
    inputs, side, forward = [4, *channels[:-1]], 32, []
    for index, (i, o) in enumerate(zip(inputs, channels, strict=True)):
        forward.append(2 * 9 * i * o * side * side * 2 * batch)
        side //= 2 if index in POOLED else 1
    even = sum(2 * f for f in forward) + forward[1] + forward[3] + forward[5]
    odd = 2 * forward[0] + sum(2 * f for f in forward[1:5]) + forward[2] + forward[4]
    return float(even + odd)


if __name__ == "__main__":
    typer.run(main)
