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
        row = ActivationRows(run, key).row_of(index)
        layer = last_layer(run)
        if row is None or layer is None:
            return None
        feature = np.asarray(run.variable(f"activations/{layer}/pre/activation")[-1, row], np.float64)
        return nearest_rows(run, key, layer, feature, row)
    except FfprobeError:  # larger than the limit of one read
        return None


def nearest_rows(
    run: RunFile, key: str, layer: str, feature: np.ndarray, without: int | None = None
) -> list[dict[str, Any]]:
    """The images whose recorded activations of a layer have the smallest angle to a feature.

    Args:
        run: the run file.
        key: id of the run.
        layer: name of the layer in the file.
        feature: float64 ``[units]``.
        without: a row to leave out, that of the image itself.
    """
    rows = ActivationRows(run, key)
    activations = np.asarray(run.variable(f"activations/{layer}/pre/activation")[-1], np.float64)
    lengths = np.linalg.norm(activations, axis=1) * np.linalg.norm(feature)
    products = activations @ feature
    cosine = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    nearest = [int(row) for row in np.argsort(-cosine, kind="stable") if row != without][:COUNT]
    return [{**rows.describe(row), "distance": round(1 - float(cosine[row]), 6)} for row in nearest]


def last_layer(run: RunFile) -> str | None:
    """The name of the last layer with activations before its normalizer that are recorded after training."""
    for name in reversed([str(name) for name in run.read("metrics/layer")]):
        path = f"activations/{name}/pre/activation"
        if run.has(path) and run.variable(path).shape[0]:
            return name
    return None
