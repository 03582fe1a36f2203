"""Predictions of a trained network by an evaluator, and their cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from ffprobe.components.evaluator import Evaluator
from ffprobe.data.samples import Samples
from ffprobe.inference.label_scan import NetworkLabelScan
from ffprobe.inference.network_input import network_input
from ffprobe.inference.trained import Trained
from ffprobe.prediction.predicted_labels import predicted_labels

MEMORY = {"cpu": 32 << 20, "cuda": 4 << 30}
"""Maximum memory of the activations kept between two layers, in bytes, by type of device; a CPU is slow outside its
caches."""


@dataclass(frozen=True)
class Predictions:
    """Predictions for N images.

    Attributes:
        labels: predicted labels, int64 ``[N]``; -1 where a score is NaN or several labels share the largest score.
        margins: float64 ``[N]``, score of the prediction minus the second-highest score, in the evaluator's units;
            infinite if all other labels were ruled out.
        evaluations: number of inputs that went through each layer, ``[L]``.
        seconds: wall time in seconds, from uint8 pixels to labels on the CPU.
    """

    labels: torch.Tensor
    margins: torch.Tensor
    evaluations: list[int]
    seconds: float


@torch.inference_mode()
def predict(
    trained: Trained,
    images: Samples,
    evaluator: Evaluator,
    advance: Callable[[int], None] = lambda images: None,
) -> Predictions:
    """Predict every image.

    Args:
        trained: the trained network.
        images: N images; they are normalized with the run's mean and std, not their own.
        evaluator: the evaluator, calibrated if it needs calibration.
        advance: called after each batch with the number of its images.
    """
    start = time.perf_counter()
    labels, margins, evaluations = [], [], [0] * trained.network.depth
    for batch in _batches(trained, images, _batch_size(trained, evaluator)):
        scan = NetworkLabelScan(trained.network, batch, trained.max_features, trained.autocast, trained.batch)
        scores = evaluator.read(scan).double().cpu()
        best = scores.topk(2, dim=1)
        labels.append(predicted_labels(scores))
        margins.append(best.values[:, 0] - best.values[:, 1])
        evaluations = [a + b for a, b in zip(evaluations, scan.evaluations, strict=True)]
        advance(len(batch))
    return Predictions(torch.cat(labels), torch.cat(margins), evaluations, time.perf_counter() - start)


def _batch_size(trained: Trained, evaluator: Evaluator) -> int:
    """How many images are predicted together."""
    if not evaluator.stepwise:  # as many as in the run's evaluation, so that the results are equal bit for bit
        return trained.batch
    layers = [trained.network.layer(i) for i in range(trained.network.depth)]
    largest = max(torch.Size(shape).numel() for layer in layers for shape in (layer.input_shape, layer.output_shape))
    passes = trained.network.passes_per_image
    return max(1, min(trained.batch, MEMORY.get(trained.device.type, MEMORY["cpu"]) // (4 * largest * passes)))


def _batches(trained: Trained, images: Samples, size: int) -> Iterator[torch.Tensor]:
    for start in range(0, len(images), size):
        yield network_input(trained.network, images.inputs[start : start + size], trained.mean, trained.std)


class FullScan(Evaluator):
    """Every label through every layer, and the last layer decides: the baseline for savings."""

    name = "full-scan"

    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        """Goodness ``[L, N, K]`` to scores ``[N, K]``."""
        return goodness[-1]
