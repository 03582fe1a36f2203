"""Where in a TOML text a key stands, which the standard library's reader does not tell."""

from __future__ import annotations

import re
import tomllib

_HEADER = re.compile(r"\s*\[\[?\s*(?P<path>[^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = r"(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')"
_ASSIGNMENT = re.compile(rf"\s*(?P<path>{_KEY}(?:\s*\.\s*{_KEY})*)\s*=")


def key_lines(text: str) -> dict[tuple[str, ...], int]:
    """The line, from 1, of every table header and every key that begins a line.

    Keys inside an inline table stand on the line of the table that holds them and are not listed themselves. The text
    must be TOML; a line inside a multi-line string that looks like a key is taken for one, which costs a wrong line
    number in a message and nothing else.

    Args:
        text: of the file.
    """
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    depth = 0
    for number, line in enumerate(text.splitlines(), 1):
        if depth == 0 and (header := _HEADER.match(line)):
            table = _parts(header["path"])
            found.setdefault(table, number)
            continue
        if depth == 0 and (assignment := _ASSIGNMENT.match(line)):
            found.setdefault((*table, *_parts(assignment["path"])), number)
        bare = re.sub(r"\"(\\.|[^\"\\])*\"|'[^']*'|#.*", "", line)
        depth = max(0, depth + sum(bare.count(c) for c in "[{") - sum(bare.count(c) for c in "]}"))
    return found


def line_of(lines: dict[tuple[str, ...], int], path: tuple[str, ...]) -> int | None:
    """The line of a key, or of the nearest table that holds it; None where neither is known."""
    while path:
        if path in lines:
            return lines[path]
        begun = [number for known, number in lines.items() if known[: len(path)] == path]
        if begun:  # a table that has no header of its own
            return min(begun)
        path = path[:-1]
    return None


def _parts(path: str) -> tuple[str, ...]:
    """The parts of a dotted key, unquoted."""
    parts: list[str] = []
    table = tomllib.loads(f"{path} = 0")
    while isinstance(table, dict):
        (key, table), *_ = table.items()
        parts.append(key)
    return tuple(parts)
