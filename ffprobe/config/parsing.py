"""The words of the command line as tables: plugins, settings, values; and one table merged over another."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from ffprobe.components.kinds import SINGLE_SLOTS
from ffprobe.errors import UsageError


def parse_value(text: str) -> Any:
    """A value as typed: TOML where it reads as TOML, else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def parse_plugin(text: str) -> tuple[str, dict[str, Any]]:
    """``NAME``, ``NAME:key=value,...``, ``./file.py[:...]`` or ``module:attr[:...]`` as (what to load, settings).

    Raises:
        UsageError: a setting has no value.
    """
    head, colon, tail = text.rpartition(":")
    if not colon or "=" not in tail:
        return text, {}
    settings = {}
    for part in _split(tail):
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise UsageError(
                f"{part!r} in {text!r} is not key=value.", hint="Write --plugin name:key=value,other=value."
            )
        settings[key.strip()] = parse_value(value.strip())
    return head, settings


def _split(text: str) -> list[str]:
    parts, depth, current = [], 0, ""
    for character in text:
        depth += (character in "[{(") - (character in "]})")
        if character == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += character
    return [*parts, current]


def assignments(words: Iterable[str]) -> dict[str, Any]:
    """``--set key=value`` words as a table; dots reach into tables.

    Raises:
        UsageError: a word has no ``=`` or reaches into a value.
    """
    table: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not all(key.split(".")):
            raise UsageError(f"--set {word!r} is not key=value.", hint="For example --set network.width=0.25.")
        path = key.strip().split(".")
        value = parse_value(text.strip())
        if path[0] in SINGLE_SLOTS and len(path) == 1 and isinstance(value, str):
            path.append("name")  # network=tiny beside network.width=0.25
        *tables, last = path
        place = table
        for part in tables:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise UsageError(f"--set {word!r} reaches into {part!r}, which another --set gave a value.")
        place[last] = value
    return table


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One table over another: tables merge, but a slot that names another component starts afresh."""
    result = dict(below)
    for key, value in above.items():
        if key in SINGLE_SLOTS and isinstance(value, str):
            value = {"name": value}
        old = result.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            renamed = key in SINGLE_SLOTS and value.get("name", old.get("name")) != old.get("name")
            result[key] = dict(value) if renamed else merge(old, value)
        else:
            result[key] = dict(value) if isinstance(value, Mapping) else value
    return result
