"""Parses plugins, settings and values from the command line into tables, and merges tables."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from ffprobe.components.kinds import SINGLE_SLOTS
from ffprobe.errors import UsageError
from ffprobe.plugin.given import GivenPlugin


def parse_value(text: str) -> Any:
    """The value of ``text``: parsed as TOML if it is valid TOML, otherwise the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def parse_plugin(text: str) -> tuple[str, dict[str, Any]]:
    """Split the argument of ``--plugin`` into what to load and its settings.

    Args:
        text: ``NAME``, ``NAME:key=value,...``, ``./file.py[:...]`` or ``module:attr[:...]``.

    Raises:
        UsageError: a setting has no value.
    """
    if isinstance(text, GivenPlugin):
        return str(text), dict(text.settings)
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
    """A table of ``--set key=value`` arguments; a dot in a key separates nested tables.

    Raises:
        UsageError: an argument has no ``=``, or its key is nested inside a setting that another one gave a value.
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
        target = table
        for part in tables:
            target = target.setdefault(part, {})
            if not isinstance(target, dict):
                raise UsageError(f"--set {word!r} needs {part!r} to be a table, but another --set gave it a value.")
        target[last] = value
    return table


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two tables; values of ``above`` take precedence.

    Nested tables are merged. A slot that names another component in ``above`` keeps none of the settings of ``below``.
    """
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


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with dotted keys as nested tables; nested tables stay as they are."""
    table: dict[str, Any] = {}
    for key, value in settings.items():
        *parts, last = key.split(".")
        branch: dict[str, Any] = {last: value}
        for part in reversed(parts):
            branch = {part: branch}
        table = merge(table, branch)
    return table
