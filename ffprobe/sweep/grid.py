"""A grid of runs, read from TOML: options that every run has, and axes along which runs differ."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

from ffprobe.components.kinds import SINGLE_SLOTS
from ffprobe.config.options import RunOptions
from ffprobe.config.parsing import assignments
from ffprobe.config.preset_files import read_toml
from ffprobe.config.settings import RunSettings
from ffprobe.errors import UsageError, did_you_mean
from ffprobe.sweep.toml_lines import key_lines, line_of

OPTIONS = {field.name.strip("_"): field.name for field in fields(RunOptions)}
SETTINGS = (*SINGLE_SLOTS, *RunSettings.model_fields, "probes", "observers")
"""What the first part of a setting's key can be."""
LISTS = ("plugin", "set")


@dataclass(frozen=True)
class Point:
    """One place on an axis.

    Attributes:
        axis: the axis's name; empty for what every run has.
        name: what it is called in the names of files.
        options: option of ``ffprobe run`` -> value; settings are under ``set``, as ``{dotted key: value}``.
        line: of the grid file; None where it is not known.
    """

    axis: str
    name: str
    options: Mapping[str, Any]
    line: int | None


@dataclass(frozen=True)
class Grid:
    """Which runs a sweep has: one for each combination of a point of every axis.

    Attributes:
        path: the file it was read from.
        out: the directory for run files, as written in the file; empty when nothing was said.
        each: what every run has.
        axes: the points of each axis, in the order of the file.
    """

    path: Path
    out: str
    each: Point
    axes: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)

    def cells(self) -> Iterator[tuple[Point, ...]]:
        """Every combination; the last axis changes fastest.

        With seeds before the plugins, a sweep that is cut short has every set of plugins, at fewer seeds.
        """
        return product(*self.axes.values())

    def only(self, words: Sequence[str]) -> Grid:
        """The part of the grid with these points alone: the same runs under the same names, but fewer.

        Args:
            words: ``AXIS=POINT`` or ``AXIS=POINT,POINT``; an axis that is not named keeps all its points, one that is
                named again the points of both words.

        Raises:
            UsageError: no such axis, or no such point on it.
        """
        wanted: dict[str, set[str]] = {}
        for word in words:
            axis, equals, names = word.partition("=")
            if not equals or axis not in self.axes:
                hint = did_you_mean(axis, self.axes) or f"Axes are {', '.join(self.axes)}."
                raise UsageError(f"The grid has no axis {axis!r}.", where=f"--only {word}", hint=hint)
            called = {name: point.name for point in self.axes[axis] for name in (point.name, _value(point))}
            for name in names.split(","):
                if name not in called:
                    hint = did_you_mean(name, called) or f"Points are {', '.join(_value(p) for p in self.axes[axis])}."
                    raise UsageError(f"The axis {axis!r} has no point {name!r}.", where=f"--only {word}", hint=hint)
                wanted.setdefault(axis, set()).add(called[name])
        axes = {
            axis: tuple(point for point in points if axis not in wanted or point.name in wanted[axis])
            for axis, points in self.axes.items()
        }
        return replace(self, axes=axes)

    def place(self, line: int | None) -> str:
        """``file:line``, for messages."""
        return f"{self.path}:{line}" if line else str(self.path)


def read_grid(path: Path, over: Sequence[str] = ()) -> Grid:
    """Read a grid; what its options mean is checked when it is planned.

    Args:
        path: of the TOML file.
        over: ``key=value`` words laid over what the grid says of every run.

    Raises:
        FileError: missing, unreadable or not TOML.
        UsageError: an unknown key, an axis without points, a value of the wrong kind; with the line.
    """
    table = read_toml(path)
    lines = key_lines(path.read_text(encoding="utf-8"))
    reader = _Reader(path, lines)
    for key in table:
        if key not in ("out", "each", "axes"):
            raise reader.error(f"A grid has no {key!r}.", did_you_mean(key, ("out", "each", "axes")), (key,))
    out = table.get("out", "")
    if not isinstance(out, str):
        raise reader.error("out must be the name of a directory.", 'Write out = "runs/mine".', ("out",))
    options = reader.options(table.get("each", {}), ("each",))
    typed = _Reader(Path("--set"), {}).options(assignments(over), ("--set",))
    options = {**options, **typed, "set": {**options.get("set", {}), **typed.get("set", {})}}
    each = Point("", "", options, line_of(lines, ("each",)))
    axes = table.get("axes", {})
    if not isinstance(axes, Mapping) or not axes:
        raise reader.error("The grid has no axis.", "Write [axes] and, for example, seed = [0, 1, 2].", ("axes",))
    return Grid(path, out, each, {name: reader.axis(name, points) for name, points in _unnested(axes).items()})


@dataclass(frozen=True)
class _Reader:
    path: Path
    lines: dict[tuple[str, ...], int]

    def error(self, what: str, hint: str, path: tuple[str, ...]) -> UsageError:
        line = line_of(self.lines, path)
        return UsageError(what, where=f"{self.path}:{line}" if line else str(self.path), hint=hint)

    def axis(self, name: str, points: Any) -> tuple[Point, ...]:
        path = ("axes", *name.split(".")) if ("axes", name) not in self.lines else ("axes", name)
        if isinstance(points, Mapping) and all(isinstance(v, Mapping) for v in points.values()):
            found = [
                Point(name, point, self.options(options, (*path, point)), line_of(self.lines, (*path, point)))
                for point, options in points.items()
            ]
        elif isinstance(points, list) and (key := _key(name)):
            line = line_of(self.lines, path)
            found = [Point(name, _called(key, value), self.options({key: value}, path), line) for value in points]
        elif isinstance(points, list):
            hint = f"Name an option or a setting ({', '.join(OPTIONS)}, network.width ...), or give every point a name."
            raise self.error(f"The axis {name!r} is a list, but names nothing that a run has.", hint, path)
        else:
            hint = 'Write seed = [0, 1, 2], or [axes.loss] with lines like symba = {plugin = "symba"}.'
            raise self.error(f"The axis {name!r} is neither a list of values nor a table of named points.", hint, path)
        if not found:
            raise self.error(f"The axis {name!r} is empty, so there is no run.", "Give it a point, or drop it.", path)
        return tuple(found)

    def options(self, table: Any, path: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(table, Mapping):
            raise self.error(f"{'.'.join(path)} must be a table of options.", 'For example {plugin = "olu"}.', path)
        found: dict[str, Any] = {}
        for key, value in table.items():
            option = key.replace("-", "_")
            if option in ("out", "resume", "overwrite", "json", "verbose", "dry_run", "allow_changes"):
                raise self.error(f"{key!r} is the sweep's own affair.", "Leave it out of the grid.", (*path, key))
            if option == "set" and not isinstance(value, Mapping):
                raise self.error("set must be a table.", 'Write set = {"network.width" = 0.25}.', (*path, key))
            if option == "set":
                found.setdefault("set", {}).update(_flat(value))
            elif option in OPTIONS:
                found[option] = self._value(option, value, (*path, key))
            elif key.partition(".")[0] in SETTINGS:
                found.setdefault("set", {}).update(_flat({key: value}))
            else:
                hint = did_you_mean(key, [*OPTIONS, *SETTINGS])
                raise self.error(f"A run has no option or setting {key!r}.", hint, (*path, key))
        return found

    def _value(self, option: str, value: Any, path: tuple[str, ...]) -> Any:
        if option == "plugin":
            words = [value] if isinstance(value, str) else value
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise self.error("plugin must be a name, or a list of names.", 'For example ["olu", "symba"].', path)
            return [self._filled(word, path) for word in words]
        whole = option in ("epochs", "batch_size", "seed")
        kind: type = int if whole else bool if option == "download" else str
        if type(value) is not kind:
            raise self.error(f"{option} cannot be {value!r}.", f"It must be of the type {kind.__name__}.", path)
        return self._filled(str(value), path) if kind is str else value

    def _filled(self, text: str, path: tuple[str, ...]) -> str:
        """The text with ``${NAME}`` replaced by the environment variable."""
        for name in re.findall(r"\$\{(\w+)\}", text):
            if name not in os.environ:
                hint = f"For example: {name}=/path/to/it ffprobe sweep {self.path}"
                raise self.error(f"The environment variable {name} is not set.", hint, path)
        return re.sub(r"\$\{(\w+)\}", lambda found: os.environ[found[1]], text)


def _value(point: Point) -> str:
    """What a point is called without the name of a listed axis before it: ``0`` of ``seed=0``."""
    return point.name.removeprefix(f"{point.axis.rpartition('.')[2]}=")


def _key(axis: str) -> str | None:
    """What of a run the values of an axis of this name are; None when the name is only a name."""
    option = axis.replace("-", "_")
    return option if option in OPTIONS and option != "set" else axis if axis.partition(".")[0] in SETTINGS else None


def _unnested(axes: Mapping[str, Any]) -> dict[str, Any]:
    """Axes with ``loss.alpha = [...]`` under that name, which TOML reads as a table in a table."""
    found: dict[str, Any] = {}
    for name, points in axes.items():
        nested = isinstance(points, Mapping) and points and all(isinstance(v, list) for v in points.values())
        found |= {f"{name}.{key}": values for key, values in points.items()} if nested else {name: points}
    return found


def _called(key: str, value: Any) -> str:
    """What a value of a listed axis is called in a file name."""
    if key == "plugin":
        words = [value] if isinstance(value, str) else value if isinstance(value, list) else [str(value)]
        return "+".join(str(word) for word in words) or "none"
    if isinstance(value, str):
        return value
    return f"{key.rpartition('.')[2]}={value}"


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        found |= _flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return found


def toml_value(value: Any) -> str:
    """A value as ``--set`` reads it back.

    Raises:
        UsageError: TOML has no such value.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        try:  # quoted only where it would otherwise be read as something else
            tomllib.loads(f"value = {value}")
        except tomllib.TOMLDecodeError:
            return value
        return f'"{value}"'
    if isinstance(value, list):
        return f"[{', '.join(map(_inner, value))}]"
    return repr(value)


def _inner(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else toml_value(value)
