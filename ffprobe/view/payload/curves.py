"""``/api/runs/ID/curves``: every recorded metric by epoch, and by step where steps were recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ffprobe.analysis.runs.labels import layer_numbers
from ffprobe.view.payload.plain_values import plain
from ffprobe.view.payload.probe_curves import probe_curves

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

MAX_STEPS = 2_000
"""Steps of a curve by step; of more, blocks of equal length are averaged, since a screen is no wider."""
SCALES = ("epoch", "step", "layer")
POSITIVE, NEGATIVE = "goodness_positive", "goodness_negative"


def curves_document(run: RunFile) -> dict[str, Any]:
    """The curves of a run; accuracies in percent, None where nothing was measured.

    ``separation`` is the goodness of positives minus that of negatives, computed from the two.
    """
    layers = layer_numbers(run) if run.has("metrics/layer") else []
    epochs = run.read("metrics/epoch") if run.has("metrics/epoch") else np.zeros(0, int)
    series = _series(run, "metrics", len(epochs), len(layers))
    document: dict[str, Any] = {"epoch": epochs, "layers": layers, "series": series, "steps": None}
    if run.has("steps/step") and len(steps := run.read("steps/step")):
        every = -(-len(steps) // MAX_STEPS)
        starts = np.arange(0, len(steps), every)
        by_step = _series(run, "steps", len(steps), len(layers), starts)
        document["steps"] = {"step": steps[starts], "averaged": every, "series": by_step}
    document["probes"] = probe_curves(run, len(layers))
    return plain(document)


def _series(
    run: RunFile, group: str, length: int, layers: int, starts: np.ndarray | None = None
) -> dict[str, dict[str, Any]]:
    """The arrays of a group that have one number, or one for each layer, in each row."""
    series: dict[str, dict[str, Any]] = {}
    for path in run.paths():
        at, _, name = path.rpartition("/")
        if at != group or name in SCALES:
            continue
        array = run.variable(path)
        if array.dtype.kind not in "fiu" or array.shape not in ((length,), (length, layers)):
            continue
        values = np.asarray(array[...], float)
        if np.isnan(values).all():
            continue
        unit = array.units
        if "accuracy" in name:
            values, unit = 100 * values, "%"
        series[name] = _entry(values, "" if unit == "1" else unit, array.long_name, starts)
        series[name]["raw"] = values
    if POSITIVE in series and NEGATIVE in series:
        values = series[POSITIVE]["raw"] - series[NEGATIVE]["raw"]
        meaning = "goodness of positives minus goodness of negatives"
        series["separation"] = _entry(values, series[POSITIVE]["unit"], meaning, starts)
    for entry in series.values():
        entry.pop("raw", None)
    return series


def _entry(values: np.ndarray, unit: str, meaning: str, starts: np.ndarray | None) -> dict[str, Any]:
    if starts is not None:
        values = _means(values, starts)
    by_layer = values.ndim == 2
    return {"unit": unit, "meaning": meaning, "by_layer": by_layer, "values": values.T if by_layer else values}


def _means(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The mean of each block of rows, without NaN; NaN if a block has nothing else."""
    known = ~np.isnan(values)
    sums = np.add.reduceat(np.where(known, values, 0.0), starts, axis=0)
    counts = np.add.reduceat(known.astype(float), starts, axis=0)
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
