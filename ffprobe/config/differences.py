"""Differences between two nested tables of plain values, as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def differences(before: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Every difference between two nested tables, as ``key: before -> now``.

    Args:
        before: nested plain values.
        now: nested plain values.
        path: prefix of every key.
    """
    for key in sorted({*before, *now}, key=str):
        old, new = before.get(key), now.get(key)
        name = f"{path}{key}"
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from differences(old, new, f"{name}.")
        elif old != new:
            yield f"{name}: {_short(old)} -> {_short(new)}"


ENVIRONMENT_KEYS = ("data", "device", "preset", "observers")
"""Keys of a config that do not decide the results: where files lie, what computes, what only watches."""


def deciding(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a config that decides the results of its run."""
    return {key: value for key, value in config.items() if key not in ENVIRONMENT_KEYS}


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
