"""The images whose recorded activations are nearest to those of one image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ffprobe.errors import FfprobeError
from ffprobe.view.payload.activation_rows import ActivationRows
from ffprobe.view.payload.recorded_goodness import RecordedGoodness

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

COUNT = 10


def neighbours(run: RunFile, key: str, recorded: RecordedGoodness, index: int) -> list[dict[str, Any]] | None:
    """The nearest images by the angle between activations of the last recorded layer, before its normalizer.

    Args:
        run: the run file.
        key: id of the run.
        recorded: the part of the image.
        index: index of the image in its part.

    Returns:
        Each with ``distance`` (1 - cosine), nearest first; None if the image's activations were not recorded.
    """
    if recorded.part != "validation" or not run.has("activations/sample"):
        return None
    try:
        rows = ActivationRows(run, key)
        row = rows.row_of(index)
        layer = _last_layer(run)
        if row is None or layer is None:
            return None
        activations = np.asarray(run.variable(f"activations/{layer}/pre/activation")[-1], np.float64)
    except FfprobeError:  # larger than the limit of one read
        return None
    lengths = np.linalg.norm(activations, axis=1)
    products = activations @ activations[row]
    cosine = np.divide(products, lengths * lengths[row], out=np.zeros_like(products), where=lengths * lengths[row] > 0)
    order = np.argsort(-cosine, kind="stable")
    nearest = [int(other) for other in order if other != row][:COUNT]
    return [{**rows.describe(other), "distance": round(1 - float(cosine[other]), 6)} for other in nearest]


def _last_layer(run: RunFile) -> str | None:
    """The name of the last layer with activations before its normalizer that are recorded after training."""
    for name in reversed([str(name) for name in run.read("metrics/layer")]):
        path = f"activations/{name}/pre/activation"
        if run.has(path) and run.variable(path).shape[0]:
            return name
    return None
