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


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
