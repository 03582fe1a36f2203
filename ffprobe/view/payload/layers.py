"""``/api/runs/ID/layers/INDEX``: weights, filters, units and dead units of one layer."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

from ffprobe.errors import FfprobeError, FileError
from ffprobe.view.payload.layer_facts import activation_shape
from ffprobe.view.payload.layer_health import dead_units
from ffprobe.view.payload.plain_values import plain
from ffprobe.view.payload.strongest import strongest_images

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

BINS = 61
"""Bins of a histogram; an odd number, so that one of them is centred at zero."""
MAX_FILTERS = 64
MAX_MAPS = 256
"""Gray images of filters with many input channels."""
MAX_FILTER_SIDE = 64


def layer_document(run: RunFile, key: str, index: int) -> dict[str, Any]:
    """What the file contains about one layer.

    Args:
        run: the run file.
        key: id of the run, for the addresses of images.
        index: index of the layer, from 0.

    Raises:
        FileError: there is no such layer.
    """
    names = [str(name) for name in run.read("metrics/layer")]
    if not 0 <= index < len(names):
        raise FileError(f"There is no layer {index + 1}.", hint=f"The network has {len(names)} layers.")
    name = names[index]
    weight = main_weight(run, name)
    norms = run.variable("metrics/weight_norm") if run.has("metrics/weight_norm") else None
    return plain({
        "index": index,
        "histogram": None if weight is None else histogram(weight),
        "weight_shape": None if weight is None else list(weight.shape),
        "filters": None if weight is None else filters(weight, run.attributes.get("image_shape")),
        "units": _optional(lambda: strongest_images(run, key, name)) or [],
        "dead_units": dead_units(run, name),
        "weight_norm": None if norms is None else np.asarray(norms[:, index], float),
        "activation_shape": activation_shape(run, name),
    })  # fmt: skip


def main_weight(run: RunFile, name: str) -> np.ndarray | None:
    """The largest trained array of a layer with two or more dimensions; None before the run ends."""
    if not run.complete:  # weights are written at the end
        return None
    found = [
        run.variable(path)
        for path in run.paths()
        if path.startswith(f"weights/{name}/") and ".axis" not in path and run.variable(path).ndim >= 2
    ]
    found = [variable for variable in found if variable.dtype.kind == "f"]
    return np.asarray(max(found, key=lambda variable: variable.size)[...], np.float32) if found else None


def histogram(values: np.ndarray) -> dict[str, Any]:
    """Counts of values in bins of equal width that are symmetric about zero."""
    finite = values[np.isfinite(values)]
    most = float(np.abs(finite).max()) if finite.size else 0.0
    most = most or 1.0
    counts, edges = np.histogram(finite, bins=BINS, range=(-most, most))
    spread = {"mean": float(finite.mean()), "std": float(finite.std())} if finite.size else {"mean": None, "std": None}
    return {"edges": edges, "counts": counts, "not_finite": int(values.size - finite.size), **spread}


def filters(weight: np.ndarray, image_shape: object) -> dict[str, Any] | None:
    """The filters as gray or colour images; 128 is zero, and all of a layer have one scale.

    A convolution with three input channels has colour filters. Other convolutions show one gray image for each pair of
    output and input channel, as many as fit. A linear layer on the pixels has one image per unit.

    Args:
        weight: ``[out, in, height, width]`` or ``[out, in]``.
        image_shape: channels, height and width of the run's images, as the file has them.
    """
    if weight.ndim == 2:
        shape = [int(side) for side in image_shape] if isinstance(image_shape, list | tuple) else []
        pixels = int(np.prod(shape)) if len(shape) == 3 and all(0 < side <= 4096 for side in shape) else 0
        if not pixels or weight.shape[1] < pixels:
            return None
        weight = weight[:, :pixels].reshape(len(weight), *shape)
    if weight.ndim != 4 or max(weight.shape[2:]) > MAX_FILTER_SIDE or not weight.size:
        return None
    colour = weight.shape[1] == 3
    inputs = 3 if colour else min(weight.shape[1], max(1, MAX_MAPS // min(len(weight), MAX_FILTERS)))
    shown = weight[:MAX_FILTERS, :inputs]
    largest = float(np.nanmax(np.abs(shown))) if np.isfinite(shown).any() else 0.0
    scaled = np.nan_to_num(shown / largest if largest else shown, nan=0.0, posinf=1.0, neginf=-1.0)
    pixels_of = np.clip(np.rint(128 + 127 * scaled), 0, 255).astype(np.uint8)
    if not colour:
        pixels_of = pixels_of.reshape(-1, 1, *pixels_of.shape[2:])
    count, channels, height, width = pixels_of.shape
    return {
        "height": height, "width": width, "channels": channels, "count": count,
        "inputs": 1 if colour else inputs, "filters": len(weight), "largest": largest,
        # images in the order of a canvas: row, column, channel
        "images": base64.b64encode(pixels_of.transpose(0, 2, 3, 1).tobytes()).decode("ascii"),
    }  # fmt: skip


def _optional(read: Any) -> Any:
    """What cannot be read, such as activations beyond the limit, is left out."""
    try:
        return read()
    except (FfprobeError, IndexError, ValueError):
        return None
