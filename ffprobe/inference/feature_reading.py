"""Predictions of a run from features: the data that the readout is fitted on, and the accuracy of the readout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from ffprobe.components.evaluator import Evaluator
from ffprobe.data.samples import Samples
from ffprobe.inference.activations import ActivationSampler
from ffprobe.inference.label_scan import NetworkLabelScan
from ffprobe.inference.network_input import network_input
from ffprobe.prediction.calibration import Calibration


def feature_calibration(
    sampler: ActivationSampler,
    goodness: torch.Tensor,
    labels: torch.Tensor,
    form: Literal["pair", "class"],
    layer_costs: Sequence[float] = (),
) -> Calibration:
    """Calibration data from the images whose activations a run records.

    It equals what ``read_calibration(run, "pre")`` later reads from the run file.

    Args:
        sampler: the run's sampler; the current weights of its network are used.
        goodness: goodness of the validation set, ``[L, N, K]``.
        labels: true labels, int64 ``[N]``.
        form: form of the goodness.
        layer_costs: multiply-adds of each layer for one input; empty if unknown.
    """
    features = {int(layer): value for (layer, stage), value in sampler.collect().items() if _is_feature(layer, stage)}
    fit = len(sampler.images) - len(sampler.held_out)
    truth = sampler.images.labels.cpu()
    return Calibration(
        goodness[:, sampler.held_out],
        labels[sampler.held_out],
        form,
        {layer: value[fit:] for layer, value in features.items()},
        {layer: value[:fit] for layer, value in features.items()},
        truth[:fit],
        layer_costs,
    )


@torch.inference_mode()
def feature_accuracy(evaluator: Evaluator, sampler: ActivationSampler, images: Samples, batch: int) -> float:
    """Accuracy, in [0, 1], of a calibrated evaluator on ``images``, with the network in evaluation mode."""
    network = sampler.network
    mode = network.training
    network.eval()
    correct = 0
    for start in range(0, len(images), batch):
        x = network_input(network, images.inputs[start : start + batch], images.mean, images.std)
        predicted = evaluator.predict(NetworkLabelScan(network, x, sampler.max_features, sampler.autocast))
        correct += int((predicted.cpu() == images.labels[start : start + batch].cpu()).sum())
    network.train(mode)
    return correct / len(images)


def _is_feature(layer: str, stage: str) -> bool:
    return layer != "input" and stage == "pre"
