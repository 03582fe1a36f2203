"""A run's own predictions where they are read from features: what the readout is fitted on, and how well it reads."""

from __future__ import annotations

from typing import Literal

import torch

from ffprobe.components.evaluator import Evaluator
from ffprobe.data.images import Images
from ffprobe.data.loader import normalize
from ffprobe.inference.activations import ActivationSampler
from ffprobe.inference.label_scan import NetworkLabelScan
from ffprobe.prediction.calibration import Calibration


def feature_calibration(
    sampler: ActivationSampler, goodness: torch.Tensor, labels: torch.Tensor, form: Literal["pair", "class"]
) -> Calibration:
    """The images whose activations a run records, as ``read_calibration(run, "pre")`` finds them in its file later.

    Args:
        sampler: of the run; its network as it stands is asked.
        goodness: of the validation set, ``[L, N, K]``.
        labels: int64 ``[N]``, true.
        form: of the goodness.
    """
    found = {int(layer): value for (layer, stage), value in sampler.collect().items() if _is_feature(layer, stage)}
    fit = len(sampler.images) - len(sampler.held)
    truth = sampler.images.labels.cpu()
    return Calibration(
        goodness[:, sampler.held],
        labels[sampler.held],
        form,
        {layer: value[fit:] for layer, value in found.items()},
        {layer: value[:fit] for layer, value in found.items()},
        truth[:fit],
    )


@torch.inference_mode()
def feature_accuracy(evaluator: Evaluator, sampler: ActivationSampler, images: Images, batch: int) -> float:
    """Accuracy, 0 to 1, of a calibrated evaluator that runs the network, in evaluation mode, on all ``images``."""
    network = sampler.network
    parameter, mode = next(network.parameters()), network.training
    network.eval()
    right = 0
    for start in range(0, len(images), batch):
        pixels = images.pixels[start : start + batch].to(parameter.device)
        x = normalize(pixels, images.mean, images.std).to(parameter.dtype, memory_format=torch.channels_last)
        found = evaluator.predict(NetworkLabelScan(network, x, sampler.units, sampler.autocast))
        right += int((found.cpu() == images.labels[start : start + batch].cpu()).sum())
    network.train(mode)
    return right / len(images)


def _is_feature(layer: str, stage: str) -> bool:
    return layer != "input" and stage == "pre"
