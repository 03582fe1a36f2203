"""The cost of each layer of a recorded run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile


def layer_multiply_adds(run: RunFile, depth: int) -> list[float]:
    """Multiply-adds of each layer for one input, first to last, as recorded in the run file.

    Args:
        run: a run file.
        depth: number of layers of the network.

    Returns:
        One number per layer; empty if the file does not have one for every layer, or if all are 0 (a network
        whose layers use no convolution and no matrix product).
    """
    recorded = run.attributes.get("layer_multiply_adds")
    if recorded is None:
        return []
    values = np.atleast_1d(np.asarray(recorded, float))
    if values.shape != (depth,) or not np.isfinite(values).all() or (values < 0).any() or not values.any():
        return []
    return [float(value) for value in values]
