"""How a layer is: dead units, and the norm of the gradients of its weight where a probe recorded them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ffprobe.errors import FfprobeError
from ffprobe.view.payload.layer_facts import activation_shape

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

MAX_READ = 1 << 24
"""Recorded activations of a layer that are searched for dead units: 64 MiB."""
LATEST = 50
"""Recorded steps whose gradients are averaged, the latest ones."""
NORM = "probes/gradients/steps/norm"


def layer_health(run: RunFile, names: list[str]) -> list[dict[str, Any]]:
    """For each layer ``dead`` (units that are 0 for every recorded image, and of how many) and ``gradient_norm``.

    None for what was not recorded.

    Args:
        run: the run file.
        names: names of the layers in the file.
    """
    gradients = _gradients(run, len(names))
    return [{"dead": dead_units(run, name), "gradient_norm": norm} for name, norm in zip(names, gradients, strict=True)]


def dead_units(run: RunFile, name: str) -> dict[str, int] | None:
    """Units that are 0 for every recorded image, and of how many; None if no activations were recorded.

    Args:
        run: the run file.
        name: name of the layer in the file.
    """
    group = f"activations/{name}/pre"
    try:
        if run.has(f"{group}/unreduced_dead") and len(values := run.read(f"{group}/unreduced_dead")):
            units = math.prod(activation_shape(run, name) or [0])
            return {"dead": round(float(values[-1]) * units), "of": units} if values[-1] == values[-1] else None
        if not run.has(f"{group}/activation"):
            return None
        variable = run.variable(f"{group}/activation")
        if variable.ndim != 3 or not variable.shape[0] or math.prod(variable.shape[1:]) > MAX_READ:
            return None
        activation = np.asarray(variable[-1])
    except (FfprobeError, ValueError):  # more than the limit, or another program's layout
        return None
    return {"dead": int((activation == 0).all(axis=0).sum()), "of": activation.shape[1]}


def _gradients(run: RunFile, layers: int) -> list[float | None]:
    """The mean norm of each layer's gradient from its own loss over the latest recorded steps."""
    if not run.has(NORM):
        return [None] * layers
    variable = run.variable(NORM)
    if variable.ndim != 3 or variable.shape[2] != layers or not variable.shape[0] or not variable.shape[1]:
        return [None] * layers
    own = np.asarray(variable[-min(LATEST, variable.shape[0]) :, 0], float)
    known = np.isfinite(own)
    counts = known.sum(axis=0)
    means = np.where(known, own, 0).sum(axis=0) / np.maximum(counts, 1)
    return [float(mean) if count else None for mean, count in zip(means, counts, strict=True)]
