"""Maps of one image in one layer: feature maps, Grad-CAM and the goodness map."""

from __future__ import annotations

from typing import Any

import torch

from ffprobe.errors import FileError, UsageError
from ffprobe.inference.trained import Trained
from ffprobe.view.payload.plain_values import plain
from ffprobe.view.worker.loaded_network import load_image, load_network

MAX_MAPS = 64
"""Feature maps that are shown; deep layers have hundreds."""
FORMULAS = {
    "features": "a[c, y, x]: the activation of the layer for the image with this label.",
    "gradcam": (
        "relu(sum over c of w[c] * a[c, y, x]), where w[c] is the mean over y, x of dG/da[c, y, x]. As Grad-CAM"
        " (Selvaraju et al. 2017, arXiv:1610.02391), but G is the layer's own goodness for this label and not the"
        " network's score of a class, because no gradient passes between the layers: each layer has a map of its own."
    ),
    "goodness": (
        "sum over c of a[c, y, x] * dG/da[c, y, x]: how much each position contributes to the layer's own goodness G"
        " for this label, to first order. Unlike Grad-CAM, gradients are not averaged over the positions. For a"
        " goodness that is the mean of squares, it is twice each position's share of the goodness."
    ),
}
"""What each kind of map shows, for the page."""


def map_document(path: str, part: str, index: int, layer: int, label: int | None, kind: str) -> dict[str, Any]:
    """Maps of an image in a layer.

    Args:
        path: the run file.
        part: part of the image.
        index: index of the image in its part.
        layer: index of the layer, from 0.
        label: the label that enters the network with the image; None for the neutral label.
        kind: ``features``, ``gradcam`` or ``goodness``.

    Raises:
        UsageError: there is no such layer, label or kind of map.
        FileError: the run has not finished, or does not contain the image.
    """
    trained = load_network(path)
    network = trained.network
    if kind not in FORMULAS:
        raise UsageError(f"There is no map {kind!r}.", hint=f"The maps are {', '.join(FORMULAS)}.")
    if not 0 <= layer < network.depth:
        raise UsageError(f"There is no layer {layer + 1}.", hint=f"The network has {network.depth} layers.")
    if label is not None and not 0 <= label < network.classes:
        raise UsageError(f"There is no label {label}.", hint=f"There are {network.classes} labels.")
    activation, goodness = activation_and_goodness(trained, load_image(path, trained, part, index), layer, label)
    maps = compute_maps(activation, goodness, kind)
    return plain({
        "kind": kind,
        "formula": FORMULAS[kind],
        "layer": layer,
        "label": label,
        "goodness": None if goodness is None else float(goodness.detach()),
        "height": maps.shape[1],
        "width": maps.shape[2],
        "total": activation.shape[1] if kind == "features" else 1,
        "maps": [
            {"name": f"unit {i + 1}" if kind == "features" else kind, "values": values.numpy()}
            for i, values in enumerate(maps[:MAX_MAPS])
        ],
    })  # fmt: skip


def activation_and_goodness(
    trained: Trained, image: torch.Tensor, layer: int, label: int | None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The activation of a layer as a leaf that needs a gradient, ``[1, *shape]``, and its goodness for the label.

    The goodness is None where it needs a label and there is none, and where no loss trains the layer.
    """
    network, pair = trained.network, trained.network.form == "pair"
    labels = torch.tensor([label]) if label is not None and pair else None
    with torch.no_grad():
        activation = next(a for i, a in enumerate(network.activations(image, labels)) if i == layer)
    activation = activation.detach().float().requires_grad_(True)
    if layer not in network.trained_layers or (label is None and not pair):
        return activation, None
    value = network.layer(layer).goodness(activation)
    return activation, value[0] if pair else value[0, label]


def compute_maps(activation: torch.Tensor, goodness: torch.Tensor | None, kind: str) -> torch.Tensor:
    """The maps, float32 ``[maps, height, width]``; a signal has maps of one row, a layer without positions one row of
    units.

    Raises:
        FileError: the goodness that the map explains is not differentiable, or there is none.
    """
    shape = activation.shape[1:]
    if kind == "features":
        return _maps(activation.detach()[0])
    if goodness is None or not goodness.requires_grad:
        what = "This layer has no goodness that depends on its activation for this label."
        raise FileError(what, hint="Choose a layer that a loss trains, and a label.")
    (gradient,) = torch.autograd.grad(goodness, activation)
    a, g = _maps(activation.detach()[0]), _maps(gradient[0])
    if len(shape) == 1:  # no positions to average over: each unit is its own
        product = a * g
        return product.relu() if kind == "gradcam" else product
    if kind == "gradcam":
        return (g.mean(dim=(1, 2), keepdim=True) * a).sum(dim=0, keepdim=True).relu()
    return (a * g).sum(dim=0, keepdim=True)


def _maps(activation: torch.Tensor) -> torch.Tensor:
    """``[C, H, W]`` as it is, ``[C, T]`` as ``[C, 1, T]``, ``[F]`` as ``[1, 1, F]``."""
    if activation.dim() == 3:
        return activation
    return activation[:, None] if activation.dim() == 2 else activation[None, None]
