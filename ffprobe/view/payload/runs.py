"""``/api/runs``: one row per run, and the settings in which the runs differ."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ffprobe.analysis.runs.grouping import deciding
from ffprobe.view.payload.catalog import CatalogEntry
from ffprobe.view.payload.plain_values import plain

MAX_DIFFERING = 200
"""Settings in which runs differ that the list names."""


def runs_document(entries: Sequence[CatalogEntry], title: str) -> dict[str, Any]:
    """The list of runs.

    Args:
        entries: the runs, in order.
        title: title of the page.
    """
    labels = unique_labels([entry.listed.path for entry in entries])
    flat = {entry.id: flat_settings(entry.listed.config) for entry in entries}
    differing = differing_settings([flat[entry.id] for entry in entries if entry.listed.readable])
    return {
        "title": plain(title),
        "runs": [
            run_row(entry, label, flat[entry.id], differing) for entry, label in zip(entries, labels, strict=True)
        ],
        "differing": plain(differing),
    }


def run_row(
    entry: CatalogEntry, label: str = "", settings: Mapping[str, Any] | None = None, differing: Sequence[str] = ()
) -> dict[str, Any]:
    """One row of the list.

    Args:
        entry: the run.
        label: short unique name; that of the file by default.
        settings: its settings by dotted key.
        differing: the keys to show.
    """
    run = entry.listed
    measured = math.isfinite(run.accuracy)
    return plain({
        "id": entry.id,
        "label": label or _stem(run.path),
        "method": run.label,
        "path": str(run.path),
        "folder": run.path.parent.name,
        "state": run.state,
        "reason": run.reason,
        "dataset": run.dataset,
        "preset": run.preset,
        "plugins": dict(run.components),
        "settings": {key: (settings or {}).get(key) for key in differing},
        "seed": run.seed,
        "epochs": run.epochs,
        "planned": run.planned,
        "accuracy": run.accuracy if measured else None,
        "accuracy_of": run.part if measured else None,
        "age_seconds": run.age(),
        "wall_time": run.seconds,
        "bytes": run.size,
        "revision": entry.revision,
        "group": _group(entry),
    })  # fmt: skip


def flat_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a config by dotted key; a slot's key has the name of its component."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if not isinstance(value, Mapping):
            flat[key] = _names(value)
            continue
        for inner, setting in value.items():
            if inner == "name":
                flat[key] = setting
            elif inner != "plugin":
                flat[f"{key}.{inner}"] = setting
    return flat


def _names(value: Any) -> Any:
    """A list of components, such as probes, as their names; any other value as it is."""
    if isinstance(value, list) and value and all(isinstance(one, Mapping) and "name" in one for one in value):
        return ", ".join(str(one["name"]) for one in value)
    return value


def differing_settings(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys in which settings differ, without the seed and the preset, which have columns of their own."""
    keys = list(dict.fromkeys(key for table in settings for key in table))
    values = {key: {json.dumps(table.get(key), sort_keys=True, default=str) for table in settings} for key in keys}
    return [key for key in keys if len(values[key]) > 1 and key not in ("seed", "preset")][:MAX_DIFFERING]


def unique_labels(paths: Sequence[Path]) -> list[str]:
    """The names of files without ending; with their folder, or the whole path, where names are equal."""
    labels = [_stem(path) for path in paths]
    for longer in (lambda path: f"{path.parent.name}/{_stem(path)}", str):
        repeated = {label for label in labels if labels.count(label) > 1} if len(set(labels)) < len(labels) else set()
        labels = [longer(path) if label in repeated else label for label, path in zip(labels, paths, strict=True)]
    return labels


def _stem(path: Path) -> str:
    return path.name.removesuffix(".partial").removesuffix(".h5")


def _group(entry: CatalogEntry) -> str:
    """Equal for runs that differ only in the seed, as in a comparison of groups."""
    run = entry.listed
    state = None if run.state == "finished" else run.epochs
    shared = [run.config.get("dataset"), state, deciding(run.config)] if run.readable else [entry.id]
    return hashlib.sha256(json.dumps(shared, sort_keys=True, default=str).encode()).hexdigest()[:12]
