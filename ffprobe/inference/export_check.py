"""Compares an exported function with the network that it was made from."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ffprobe.components.evaluator import Evaluator
from ffprobe.data.samples import Samples
from ffprobe.inference.export_formats import Function
from ffprobe.inference.exported_function import raw
from ffprobe.inference.label_scan import NetworkLabelScan
from ffprobe.inference.network_input import network_input
from ffprobe.inference.trained import Trained
from ffprobe.prediction.predicted_labels import predicted_labels

TIE = 1e-4
"""Two scores whose difference is below this fraction of the largest score are a tie: another order of the same sums
decides which is larger."""
BATCH = 64
"""Images per call of the exported function."""


@dataclass(frozen=True)
class Agreement:
    """How an exported function agrees with its network.

    Attributes:
        images: number of images that were compared.
        largest_deviation: largest absolute difference of a score (or of a goodness), in the evaluator's units; infinite
            if one of the two is NaN.
        different_labels: number of images (for goodness: of images and layers) with another label, ties left out.
        ties: number of those with another label where the two best scores are a tie.
    """

    images: int
    largest_deviation: float
    different_labels: int
    ties: int


@torch.inference_mode()
def compare(function: Function, trained: Trained, evaluator: Evaluator | None, images: Samples) -> Agreement:
    """Run both on the same images.

    Args:
        function: the exported function.
        trained: the network, on the CPU; its own precision is used.
        evaluator: the evaluator of the scores; None to compare the goodness of every layer.
        images: the images.
    """
    expected, seen = [], []
    for start in range(0, len(images), trained.batch):
        batch = network_input(trained.network, images.inputs[start : start + trained.batch], trained.mean, trained.std)
        scan = NetworkLabelScan(trained.network, batch, trained.max_features, trained.autocast, trained.batch)
        scores = scan.full(range(scan.depth)) if evaluator is None else evaluator.read(scan)
        expected.append(scores.cpu().double())
    for start in range(0, len(images), BATCH):
        seen.append(function(raw(images.inputs[start : start + BATCH], images.kind)).double())
    return agreement(torch.cat(expected, dim=-2), torch.cat(seen, dim=-2))


def agreement(expected: torch.Tensor, seen: torch.Tensor) -> Agreement:
    """Compare scores ``[..., N, K]`` with those of the network."""
    deviation = torch.where(expected.isnan() & seen.isnan(), 0.0, (expected - seen).abs()).nan_to_num(nan=torch.inf)
    best = expected.nan_to_num(nan=-torch.inf).topk(min(2, expected.shape[-1]), dim=-1).values
    scale = expected[expected.isfinite()].abs().max() if bool(expected.isfinite().any()) else torch.tensor(0.0)
    tied = best[..., 0] - best[..., -1] <= TIE * scale
    different = predicted_labels(expected) != predicted_labels(seen)
    return Agreement(
        expected.shape[-2], float(deviation.max()), int((different & ~tied).sum()), int((different & tied).sum())
    )
