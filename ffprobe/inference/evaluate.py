"""Goodness of every layer for every label, and the accuracies computed from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ffprobe.components.evaluator import Evaluator
from ffprobe.components.negatives import Negatives
from ffprobe.data.samples import Samples
from ffprobe.inference.network_input import network_input
from ffprobe.network.first_layer import first_layer
from ffprobe.network.network import LayeredNetwork
from ffprobe.prediction.predicted_labels import predicted_labels, undecided_counts
from ffprobe.prediction.recorded_label_scan import RecordedLabelScan

Autocast = Callable[[], Any]


@torch.inference_mode()
def goodness_tensor(network: LayeredNetwork, images: Samples, batch: int, autocast: Autocast) -> torch.Tensor:
    """Goodness of every layer, sample and label, with the network in evaluation mode.

    Args:
        network: the network, on its device; its training mode is restored.
        images: N images, on any device.
        batch: images per forward pass.
        autocast: returns a context manager for the run's precision.

    Returns:
        float32 ``[L, N, K]`` on the CPU.
    """
    mode = network.training
    network.eval()
    parts = []
    for start in range(0, len(images), batch):
        x = network_input(network, images.inputs[start : start + batch], images.mean, images.std)
        with autocast():
            parts.append(label_goodness(network, x).float())
    network.train(mode)
    return torch.cat(parts, dim=1).cpu()  # one copy at the end: the CPU does not wait for the GPU after every batch


def label_goodness(network: LayeredNetwork, images: torch.Tensor) -> torch.Tensor:
    """Goodness ``[L, B, K]`` of normalized images ``[B, C, H, W]`` for every label.

    In form ``class`` one forward pass with the neutral label is enough. In form ``pair`` there is one pass per label,
    which share the image part of the first layer if that is exact and pays. If no label enters the network, goodness
    does not depend on the class: the result is NaN and nothing is computed.
    """
    return scanned_goodness(network, images, range(network.depth))


def scanned_goodness(network: LayeredNetwork, images: torch.Tensor, layers: Sequence[int]) -> torch.Tensor:
    """``label_goodness`` of some layers only, in ascending order: ``[len(layers), B, K]``; deeper layers do not run.

    With ``network.flip_evaluation``, the mean of each image's goodness and that of its mirror image.
    """
    goodness = _scanned(network, images, layers)
    if not network.flip_evaluation:
        return goodness
    return (goodness + _scanned(network, images.flip(-1), layers)) / 2


def _scanned(network: LayeredNetwork, images: torch.Tensor, layers: Sequence[int]) -> torch.Tensor:
    if network.form == "class":
        return _goodness(network, images, None, layers, None)
    if not network.shows_label:
        return torch.full((len(layers), len(images), network.classes), torch.nan, device=images.device)
    shared = first_layer(network, images)
    by_label = []
    for label in torch.arange(network.classes, device=images.device).split(1):
        first = shared.grid(slice(None), label) if shared else None
        by_label.append(_goodness(network, images, label.expand(len(images)), layers, first))
    return torch.stack(by_label, dim=2)


def _goodness(
    network: LayeredNetwork,
    images: torch.Tensor,
    labels: torch.Tensor | None,
    layers: Sequence[int],
    first: torch.Tensor | None,
) -> torch.Tensor:
    by_layer = []
    for index, activation in enumerate(network.activations(images, labels, first=first)):
        if index in layers:
            by_layer.append(network.layer(index).goodness(activation))
        if index == layers[-1]:
            break
    return torch.stack(by_layer)


@torch.no_grad()
def goodness_for_negatives(
    negatives: Negatives, network: LayeredNetwork, images: torch.Tensor, autocast: Autocast
) -> torch.Tensor | None:
    """The goodness that the negatives need to choose from; costs one forward pass per label.

    The network is in evaluation mode during the passes, so that running statistics do not change.

    Args:
        negatives: the run's negatives; their ``needs_goodness`` decides.
        network: the network.
        images: normalized images ``[B, C, H, W]``.
        autocast: returns a context manager for the run's precision.

    Returns:
        Goodness for every label, float, without a graph: of the last layer, ``[B, K]``, if ``needs_goodness`` is True;
        of every layer, ``[L, B, K]``, if it is ``"all"``; None if it is False.
    """
    if not negatives.needs_goodness:
        return None
    mode = network.training
    network.eval()
    with autocast():
        goodness = label_goodness(network, images)
    network.train(mode)
    return goodness if negatives.needs_goodness == "all" else goodness[-1]


def layer_accuracy(goodness: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Accuracy of each layer alone, float32 ``[L]``, from goodness ``[L, N, K]`` and true labels ``[N]``.

    A sample whose goodness is NaN for some label, or is largest for several labels, counts as wrong
    (``predicted_labels``). The accuracy is NaN for a layer whose goodness head no loss trains: its goodness is NaN
    throughout.
    """
    accuracy = (predicted_labels(goodness) == labels).float().mean(dim=1)
    return torch.where(goodness.isnan().all(dim=(1, 2)), torch.nan, accuracy)


def undecided_layers(goodness: torch.Tensor, images: str) -> list[str]:
    """A message for each layer that has ties or NaN in its goodness; none for a layer that is NaN throughout.

    Args:
        goodness: ``[L, N, K]``.
        images: what the N samples are, for the message, such as ``validation images``.
    """
    messages = []
    for index, layer in enumerate(goodness):
        if bool(layer.isnan().all()):
            continue
        for count, reason in zip(undecided_counts(layer), ("tied goodness", "goodness that is NaN"), strict=True):
            if count:
                messages.append(f"layer {index + 1}: {count} of {len(layer)} {images} have {reason}; counted as wrong")
    return messages


def model_accuracy(evaluator: Evaluator, goodness: torch.Tensor, labels: torch.Tensor) -> float:
    """Accuracy, 0 to 1, of the evaluator's prediction from goodness ``[L, N, K]``."""
    return float((evaluator.predict(RecordedLabelScan(goodness)) == labels).float().mean())
