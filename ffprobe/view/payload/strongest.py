"""The images that excite each unit of a layer most, from the recorded activations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ffprobe.view.payload.activation_rows import ActivationRows
from ffprobe.view.payload.layer_facts import activation_shape

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

MAX_UNITS = 128
IMAGES_EACH = 8


def strongest_images(run: RunFile, key: str, name: str) -> list[dict[str, Any]]:
    """The strongest images of each unit; of a convolution, a unit is a channel at its strongest position.

    Args:
        run: the run file.
        key: id of the run, for the addresses of images.
        name: name of the layer in the file.

    Returns:
        For each unit its index and its images, strongest first; empty without recorded activations.
    """
    path = f"activations/{name}/pre/activation"
    if not run.has(path) or not run.variable(path).shape[0]:
        return []
    activation = np.asarray(run.variable(path)[-1])
    shape = activation_shape(run, name) or []
    if len(shape) > 1 and shape[0] > 0 and activation.shape[1] % shape[0] == 0:
        activation = activation.reshape(len(activation), shape[0], -1).max(axis=2)
    activation = np.nan_to_num(activation[:, :MAX_UNITS], nan=-np.inf)
    order = np.argsort(-activation, axis=0, kind="stable")[:IMAGES_EACH]
    rows = ActivationRows(run, key)
    return [
        {
            "unit": unit,
            "strongest": [
                {**rows.describe(int(row)), "activation": float(activation[row, unit])}
                for row in order[:, unit]
                if activation[row, unit] > 0
            ],
        }
        for unit in range(activation.shape[1])
    ]
