"""Predictions of a trained network, read as an evaluator says, and what they cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from ffprobe.components.evaluator import Evaluator
from ffprobe.data.images import Images
from ffprobe.data.loader import normalize
from ffprobe.inference.label_scan import NetworkLabelScan
from ffprobe.inference.trained import Trained

MEMORY = {"cpu": 32 << 20, "cuda": 4 << 30}
"""Bytes that the activations kept between two layers may take, by kind of device; out of its caches a CPU is slow."""


@dataclass(frozen=True)
class Predictions:
    """What was predicted for N images.

    Attributes:
        labels: int64 ``[N]``.
        margins: float64 ``[N]``, score of the prediction less that of the runner-up, in the evaluator's own units;
            infinite where all other labels were ruled out.
        evaluations: how many inputs went through each layer, ``[L]``.
        seconds: of wall time, from uint8 pixels to labels on the CPU.
    """

    labels: torch.Tensor
    margins: torch.Tensor
    evaluations: list[int]
    seconds: float


@torch.inference_mode()
def predict(
    trained: Trained,
    images: Images,
    evaluator: Evaluator,
    advance: Callable[[int], None] = lambda images: None,
) -> Predictions:
    """Predict every image.

    Args:
        trained: the network.
        images: N of them; normalized as the run's own, whatever their own mean and std.
        evaluator: calibrated, if it needs to be.
        advance: told after each batch how many images it held.
    """
    began = time.perf_counter()
    labels, margins, evaluations = [], [], [0] * trained.network.depth
    for batch in _batches(trained, images, _together(trained, evaluator)):
        sweep = NetworkLabelScan(trained.network, batch, trained.units, trained.autocast, trained.batch)
        scores = evaluator.read(sweep).double().cpu()
        best = scores.topk(2, dim=1)
        labels.append(scores.argmax(dim=1))
        margins.append(best.values[:, 0] - best.values[:, 1])
        evaluations = [a + b for a, b in zip(evaluations, sweep.evaluations, strict=True)]
        advance(len(batch))
    return Predictions(torch.cat(labels), torch.cat(margins), evaluations, time.perf_counter() - began)


def _together(trained: Trained, evaluator: Evaluator) -> int:
    """How many images go through together."""
    if not evaluator.stepwise:  # as many as when the run was evaluated, so that its numbers come back to the last bit
        return trained.batch
    layers = [trained.network.layer(i) for i in range(trained.network.depth)]
    largest = max(torch.Size(shape).numel() for one in layers for shape in (one.input_shape, one.output_shape))
    passes = trained.network.classes if trained.network.form == "pair" else 1
    return max(1, min(trained.batch, MEMORY.get(trained.device.type, MEMORY["cpu"]) // (4 * largest * passes)))


def _batches(trained: Trained, images: Images, size: int) -> Iterator[torch.Tensor]:
    dtype = next(trained.network.parameters()).dtype
    for start in range(0, len(images), size):
        pixels = images.pixels[start : start + size].to(trained.device)
        x = normalize(pixels, trained.mean, trained.std)
        yield x.to(dtype, memory_format=torch.channels_last)


class FullSweep(Evaluator):
    """Every label through every layer, the last layer decides: what savings are measured against."""

    name = "full-sweep"

    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        """``[L, N, K]`` to ``[N, K]``."""
        return goodness[-1]
