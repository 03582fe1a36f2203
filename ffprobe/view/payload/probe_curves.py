"""The curves that probes recorded, such as norms of gradients: variables with a row for each step or epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

MAX_ROWS = 2_000
"""Rows of a curve; of more, evenly spaced ones are shown."""
MAX_CURVES = 64


def probe_curves(run: RunFile, layers: int) -> list[dict[str, Any]]:
    """The curves, each with its own ``x``; a variable with one more axis gives a curve for each of its labels.

    Args:
        run: the run file.
        layers: number of layers.
    """
    curves: list[dict[str, Any]] = []
    for path in run.paths():
        group, _, name = path.rpartition("/")
        if not path.startswith("probes/") or name in ("step", "epoch") or len(curves) >= MAX_CURVES:
            continue
        at = next((one for one in ("step", "epoch") if run.has(f"{group}/{one}")), None)
        array = run.variable(path)
        if at is None or array.dtype.kind != "f" or not 1 <= array.ndim <= 3 or array.dims[0] not in ("row", at):
            continue
        x = run.variable(f"{group}/{at}")
        if x.shape != array.shape[:1] or not len(x) or (array.ndim > 1 and array.shape[-1] != layers):
            continue
        rows = slice(None, None, -(-len(x) // MAX_ROWS))
        common = {"unit": "" if array.units == "1" else array.units, "meaning": array.long_name, "x_name": at,
                  "x": x[rows], "by_layer": array.ndim > 1}  # fmt: skip
        title = f"{path.split('/')[1]}: {name}"
        for label, values in _by_label(run, group, array, rows):
            curves.append({"name": f"{title} ({label})" if label else title, **common, "values": values.T})
    return curves[:MAX_CURVES]


def _by_label(run: RunFile, group: str, array: Any, rows: slice) -> list[tuple[str, np.ndarray]]:
    values = np.asarray(array[rows], float)
    if array.ndim < 3:
        return [("", values)]
    scale = f"{group}/{array.dims[1]}"
    labels = [str(label) for label in run.read(scale)] if run.has(scale) else []
    if len(labels) != array.shape[1]:
        labels = [str(i + 1) for i in range(array.shape[1])]
    return [(label, values[:, i]) for i, label in enumerate(labels[:8])]
