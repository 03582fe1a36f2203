"""Settings that were renamed since version 0.1.0, so that run files of that version can still be opened."""

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
"""By table of the config: the name in version 0.1.0 and the current name."""


def current_names(config: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded config with the current names of settings; a config that already has them is not changed.

    Args:
        config: nested plain values; ``probes`` is a list of tables. Values of another form are kept as they are.
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
