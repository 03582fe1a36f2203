"""The images nearest to any recorded image, also to one whose activations were not recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ffprobe.inference.activations import reduction
from ffprobe.store.caps import VIEW_LIMIT
from ffprobe.store.reader import open_run
from ffprobe.view.payload.neighbours import last_layer, nearest_rows
from ffprobe.view.payload.plain_values import plain
from ffprobe.view.worker.loaded_network import load_image, load_network


def neighbours_document(path: str, key: str, part: str, index: int) -> dict[str, Any]:
    """The nearest images among those with recorded activations, by the activation of the network for this image.

    Args:
        path: the run file.
        key: id of the run.
        part: part of the image.
        index: index of the image in its part.

    Raises:
        FileError: the run has not finished, or lacks the image or activations.
    """
    trained = load_network(path)
    image = load_image(path, trained, part, index)
    with open_run(path, limit=VIEW_LIMIT) as run:
        name = last_layer(run)
        if name is None:
            return {"neighbours": None, "layer": None}
        layer = [str(one) for one in run.read("metrics/layer")].index(name)
        with torch.no_grad():
            activation = next(a for i, a in enumerate(trained.network.activations(image, None)) if i == layer)
        reduce = reduction(tuple(activation.shape[1:]), trained.max_features)[2]
        feature = np.asarray(reduce(activation.float())[0], np.float64)
        return plain({"neighbours": nearest_rows(run, key, name, feature), "layer": layer})
