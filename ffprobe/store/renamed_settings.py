"""Settings that have another name now than in run files of version 0.1.0: those files open forever."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RENAMED: dict[str, dict[str, str]] = {
    "training": {
        "images": "max_images",
        "evaluations": "num_evaluations",
        "validation": "validation_fraction",
        "floor": "min_lr_fraction",
        "shift": "crop_padding",
        "sync_statistics": "sync_batch_norm",
        "schedule": "lr_schedule",
    },
    "recording": {"units": "max_features"},
    "normalizer": {"place": "position"},
    "probes": {"rehearse": "sandbox_every"},
}
"""By table of the config: the name in version 0.1.0, and the name now."""


def current_names(config: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded config under the names of today; one that has them already stays as it is.

    Args:
        config: nested plain values; ``probes`` is a list of tables. What has another form is not looked into.
    """
    renamed = dict(config)
    for table, names in RENAMED.items():
        value = renamed.get(table)
        if isinstance(value, list):
            renamed[table] = [_renamed(entry, names) for entry in value]
        elif value is not None:
            renamed[table] = _renamed(value, names)
    return renamed


def _renamed(table: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(table, Mapping):
        return table
    return {names.get(key, key) if names.get(key) not in table else key: value for key, value in table.items()}
