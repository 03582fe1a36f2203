"""The layers of a run's network: shape, parameters, cost, and the update groups that train them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

MAX_GROUPS = 256
"""Update groups that the page draws; a network of 100 layers in interlocking groups has 100."""


def layer_facts(run: RunFile, layers: Sequence[str], groups: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Shape, parameters and multiply-adds of each layer; None where an older file does not contain them.

    Args:
        run: the run file.
        layers: number of each layer as text.
        groups: the update groups, from ``update_groups``.
    """
    names = [str(name) for name in run.read("metrics/layer")] if layers else []
    shapes, costs, kinds, parameters = (
        _recorded(run, f"layer_{fact}", len(layers)) for fact in ("shapes", "multiply_adds", "kinds", "parameters")
    )
    return [
        {
            "index": index,
            "name": layer,
            "shape": _shape(shapes[index]) or activation_shape(run, name),
            "kind": kinds[index],
            "parameters": _parameters(run, name) if parameters[index] is None else parameters[index],
            "multiply_adds": costs[index],
            "groups": [group["index"] for group in groups if index in group["trains"]],
        }
        for index, (layer, name) in enumerate(zip(layers, names, strict=True))
    ]


def update_groups(run: RunFile, depth: int) -> list[dict[str, Any]]:
    """The update groups of a run: which layers the loss of which layer trains.

    From the attribute ``update_groups``, texts ``first-last`` with layers from 1; empty in older files.
    """
    recorded = run.attributes.get("update_groups")
    groups: list[dict[str, Any]] = []
    for text in recorded if isinstance(recorded, list | tuple) else []:
        first, _, last = str(text).partition("-")
        if not (first.isdecimal() and last.isdecimal() and len(first) < 9 and len(last) < 9):
            continue
        trains = list(range(int(first) - 1, min(int(last), depth)))
        if not trains or int(first) < 1 or len(groups) >= MAX_GROUPS:
            continue
        groups.append({"index": len(groups), "trains": trains, "loss_layers": [trains[-1]], "text": _sentence(trains)})
    return groups


def activation_shape(run: RunFile, name: str) -> list[int] | None:
    """The shape of a layer's output from its recorded activations, ``[C, H, W]`` or ``[features]``."""
    path = f"activations/{name}/pre/activation"
    shape = run.variable(path).attributes.get("shape") if run.has(path) else None
    return _shape(shape)


def _shape(value: object) -> list[int] | None:
    if isinstance(value, str):
        value = value.split("x")
    if not isinstance(value, list | tuple | np.ndarray) or not 1 <= len(value) <= 4:
        return None
    try:
        return [int(number) for number in value]
    except (TypeError, ValueError):
        return None


def _parameters(run: RunFile, name: str) -> int | None:
    """The number of trained numbers: all but the statistics that a normalizer keeps."""
    arrays = [path for path in run.paths() if path.startswith(f"weights/{name}/") and ".axis" not in path]
    kept = [p for p in arrays if not p.endswith(("running_mean", "running_var", "num_batches_tracked"))]
    return sum(run.variable(path).size for path in kept) if kept else None


def _recorded(run: RunFile, name: str, count: int) -> list[Any]:
    values = run.attributes.get(name)
    known = list(values) if isinstance(values, list | tuple | np.ndarray) else []
    return known if len(known) == count else [None] * count


def _sentence(trains: Sequence[int]) -> str:
    last = trains[-1] + 1
    if len(trains) == 1:
        return f"The loss of layer {last} trains layer {last}."
    if len(trains) == 2:
        return f"The loss of layer {last} trains layers {trains[0] + 1} and {last}."
    return f"The loss of layer {last} trains layers {trains[0] + 1} to {last}."
