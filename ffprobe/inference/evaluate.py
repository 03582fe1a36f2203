"""Goodness of every layer for every label, and the accuracies that follow from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ffprobe.components.evaluator import Evaluator
from ffprobe.data.images import Images
from ffprobe.data.loader import normalize
from ffprobe.network.first_layer import first_layer
from ffprobe.network.network import LayeredNetwork
from ffprobe.prediction.recorded_label_scan import RecordedLabelScan

Autocast = Callable[[], Any]


@torch.inference_mode()
def goodness_tensor(network: LayeredNetwork, images: Images, batch: int, autocast: Autocast) -> torch.Tensor:
    """Goodness of every layer, sample and label, the network in evaluation mode.

    Args:
        network: on its device; its training mode is left as it was.
        images: on any device, N of them.
        batch: images a step.
        autocast: maker of the run's precision context.

    Returns:
        float32 ``[L, N, K]`` on the CPU.
    """
    parameter = next(network.parameters())
    mode = network.training
    network.eval()
    parts = []
    for start in range(0, len(images), batch):
        pixels = images.pixels[start : start + batch].to(parameter.device, non_blocking=True)
        x = normalize(pixels, images.mean, images.std).to(parameter.dtype, memory_format=torch.channels_last)
        with autocast():
            parts.append(label_goodness(network, x).float())
    network.train(mode)
    return torch.cat(parts, dim=1).cpu()  # read once, or a card would be waited for after every batch


def label_goodness(network: LayeredNetwork, images: torch.Tensor) -> torch.Tensor:
    """Goodness ``[L, B, K]`` of normalized images ``[B, C, H, W]`` for every label.

    In form ``class`` one pass with the neutral label gives all of it; in form ``pair`` there is one for each label, in
    which the first layer's part of the image is shared where that is exact and pays. NaN where no label enters the
    network: goodness says nothing of classes there, and nothing is computed.
    """
    return scanned_goodness(network, images, range(network.depth))


def scanned_goodness(network: LayeredNetwork, images: torch.Tensor, layers: Sequence[int]) -> torch.Tensor:
    """The same of some layers alone, in ascending order: ``[len(layers), B, K]``; deeper ones are not run."""
    if network.form == "class":
        return _goodness(network, images, None, layers, None)
    if not network.shows_label:
        return torch.full((len(layers), len(images), network.classes), torch.nan, device=images.device)
    shared = first_layer(network, images)
    found = []
    for label in torch.arange(network.classes, device=images.device).split(1):
        first = shared.grid(slice(None), label) if shared else None
        found.append(_goodness(network, images, label.expand(len(images)), layers, first))
    return torch.stack(found, dim=2)


def _goodness(
    network: LayeredNetwork,
    images: torch.Tensor,
    labels: torch.Tensor | None,
    layers: Sequence[int],
    first: torch.Tensor | None,
) -> torch.Tensor:
    found = []
    for index, activation in enumerate(network.activations(images, labels, first=first)):
        if index in layers:
            found.append(network.layer(index).goodness(activation))
        if index == layers[-1]:
            break
    return torch.stack(found)


@torch.no_grad()
def last_layer_goodness(network: LayeredNetwork, images: torch.Tensor, autocast: Autocast) -> torch.Tensor:
    """The last layer's goodness for every label; costs a forward pass each; for hard negatives.

    The network is put into evaluation mode meanwhile, so that running statistics do not move.

    Args:
        network: the network.
        images: normalized, ``[B, C, H, W]``.
        autocast: the run's context of precision.

    Returns:
        Float ``[B, K]``, without a graph.
    """
    mode = network.training
    network.eval()
    with autocast():
        goodness = label_goodness(network, images)[-1]
    network.train(mode)
    return goodness


def layer_accuracy(goodness: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Accuracy of each layer alone, float32 ``[L]``, from goodness ``[L, N, K]`` and true labels ``[N]``.

    NaN for a layer whose goodness no loss teaches, which is NaN throughout.
    """
    accuracy = (goodness.argmax(dim=2) == labels).float().mean(dim=1)
    return torch.where(goodness.isnan().all(dim=(1, 2)), torch.nan, accuracy)


def model_accuracy(evaluator: Evaluator, goodness: torch.Tensor, labels: torch.Tensor) -> float:
    """Accuracy, 0 to 1, of the evaluator's prediction from goodness ``[L, N, K]``."""
    return float((evaluator.predict(RecordedLabelScan(goodness)) == labels).float().mean())
