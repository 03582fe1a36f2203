"""Reads a grid of runs from TOML: options that all runs share, and axes along which the runs differ."""

from __future__ import annotations

import json
import math
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from ffprobe.sweep.search import AXIS, METHODS, PRUNERS, Range, Search, draws, read_range

OPTIONS = {field.name.strip("_"): field.name for field in fields(RunOptions) if field.name != "trust"}
SETTINGS = (*SINGLE_SLOTS, *RunSettings.model_fields, "probes", "observers")
"""All valid first parts of a setting's key."""
KINDS: Mapping[str, type] = {
    **dict.fromkeys(("epochs", "batch_size", "seed", "early_stop"), int),
    **dict.fromkeys(("download", "quick", "keep_best"), bool),
    "learning_rate": float,
}
"""The types of the options that are not text."""
TABLES = ("out", "each", "axes", "search")
"""The keys of a grid."""
SEARCH_KEYS = ("method", "trials", "seed", "pruner", "space")
LISTS = ("plugin", "set")
"""Options that may be given several times."""
NOT_IN_A_GRID = ("out", "resume", "overwrite", "json", "verbose", "dry_run", "allow_changes", "trust")
"""Options of ``ffprobe run`` that a grid cannot set: the sweep sets them, or its user does."""


@dataclass(frozen=True)
class Point:
    """One point of an axis.

    Attributes:
        axis: name of the axis; empty for the options that all runs share.
        name: name of the point, used in file names.
        options: options of ``ffprobe run`` by name; settings are under ``set``, as ``{dotted key: value}``.
        location: table and key in the grid file, such as ``[axes] seed, point 2``, for messages.
    """

    axis: str
    name: str
    options: Mapping[str, Any]
    location: str


@dataclass(frozen=True)
class Grid:
    """The runs of a sweep: one for each combination of points, one point from every axis.

    Attributes:
        path: the TOML file.
        out: the directory for run files, as written in the file; empty if it names none.
        each: the options that all runs share.
        axes: the points of each axis, in the order of the file; the trials of a search come first.
        search: what is searched; the trials of a random search are an axis, those of Optuna come one after another.
    """

    path: Path
    out: str
    each: Point
    axes: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)
    search: Search | None = None

    @property
    def size(self) -> int:
        """The number of runs."""
        return math.prod(map(len, self.axes.values()))

    def cells(self) -> Iterator[tuple[Point, ...]]:
        """Every combination of points; the last axis changes fastest.

        If seeds come before plugins, a sweep that is stopped early covers all sets of plugins with fewer seeds.
        """
        return product(*self.axes.values())

    def only(self, words: Sequence[str]) -> Grid:
        """The grid restricted to some points; the remaining runs keep their names.

        Args:
            words: ``AXIS=POINT`` or ``AXIS=POINT,POINT``. An axis that is not named keeps all its points; an axis that
                is named several times keeps the points of all of them.

        Raises:
            UsageError: there is no such axis or point.
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

    def where(self, point: Point) -> str:
        """File, table and key of a point, for messages."""
        return f"{self.path}, in {point.location}"


def read_grid(path: Path, over: Sequence[str] = ()) -> Grid:
    """Read a grid. Plugins and settings are validated later, by ``plan``.

    Args:
        path: the TOML file.
        over: ``key=value`` arguments that override ``[each]``.

    Raises:
        FileError: the file is missing, unreadable or not valid TOML.
        UsageError: an unknown key, an axis without points, or a value of the wrong type; ``where`` names the table and
            the key.
    """
    table = read_toml(path)
    reader = _Reader(path)
    for key in table:
        if key not in TABLES:
            raise reader.error(f"A grid has no {key!r}.", did_you_mean(key, TABLES), key)
    out = table.get("out", "")
    if not isinstance(out, str):
        raise reader.error("out must be the name of a directory.", 'Write out = "runs/mine".', "out")
    options = reader.options(table.get("each", {}), "[each] ")
    typed = _Reader(None).options(assignments(over), "--set ")
    options = {**options, **typed, "set": {**options.get("set", {}), **typed.get("set", {})}}
    axes = table.get("axes", {})
    if not isinstance(axes, Mapping) or not (axes or "search" in table):
        raise reader.error("The grid has no axis.", "Write [axes] and, for example, seed = [0, 1, 2].")
    read = {name: reader.axis(name, points) for name, points in _unnested(axes).items()}
    search = None
    if "search" in table:
        if AXIS in read:
            raise reader.error(f"The search has an axis {AXIS!r} of its own.", "Rename this axis.", f"[axes] {AXIS}")
        search = reader.search(table["search"])
        if search.method == "random":
            drawn = enumerate(draws(search.space, search.trials, search.seed), 1)
            read = {AXIS: tuple(trial_point(search, *trial) for trial in drawn), **read}
        # validation chooses: a test set that every trial reads would be chosen on
        options = {**options, "set": {"training.test": "never", **options.get("set", {})}}
    return Grid(path, out, Point("", "", options, "[each]"), read, search)


@dataclass(frozen=True)
class _Reader:
    """Reads the tables of one grid.

    Attributes:
        path: the grid file, for messages; None for options from the command line.
    """

    path: Path | None

    def error(self, what: str, hint: str, location: str = "") -> UsageError:
        """An error at a table and key of the file, such as ``[each] epochs``."""
        if self.path is None:
            return UsageError(what, where=location, hint=hint)
        return UsageError(what, where=f"{self.path}, in {location}" if location else str(self.path), hint=hint)

    def axis(self, name: str, points: Any) -> tuple[Point, ...]:
        """The points of an axis, from a list of values or a table of named points."""
        location = f"[axes] {name}"
        if isinstance(points, Mapping) and all(isinstance(v, Mapping) for v in points.values()):
            axis = [
                Point(name, point, self.options(options, f"[axes.{name}] {point}."), f"[axes.{name}] {point}")
                for point, options in points.items()
            ]
        elif isinstance(points, list) and (key := _key(name)):
            axis = []
            for number, value in enumerate(points, 1):
                at = f"{location}, point {number}"
                axis.append(Point(name, _point_name(key, value), self._merged([self._option(key, value, at)]), at))
        elif isinstance(points, list):
            hint = f"Use an option or a setting ({', '.join(OPTIONS)}, network.width ...), or give every point a name."
            raise self.error(
                f"The axis {name!r} is a list, but is not named after an option or setting.", hint, location
            )
        else:
            hint = 'Write seed = [0, 1, 2], or [axes.loss] with lines like symba = {plugin = "symba"}.'
            what = f"The axis {name!r} is neither a list of values nor a table of named points."
            raise self.error(what, hint, location)
        if not axis:
            raise self.error(
                f"The axis {name!r} is empty, so the grid has no run.", "Add a point or remove it.", location
            )
        return tuple(axis)

    def search(self, table: Any) -> Search:
        """The ``[search]`` of the file."""
        hint = (
            'Write trials = 20 and [search.space] with lines like "training.learning_rate" = {low = 1e-4, high = 0.1}.'
        )
        if not isinstance(table, Mapping):
            raise self.error("[search] must be a table.", hint, "[search]")
        for key in table:
            if key not in SEARCH_KEYS:
                raise self.error(f"A search has no {key!r}.", did_you_mean(key, SEARCH_KEYS), "[search]")
        trials, seed = table.get("trials"), table.get("seed", 0)
        if type(trials) is not int or trials < 1 or type(seed) is not int:
            raise self.error("A search needs a number of trials and, optionally, a seed.", hint, "[search]")
        chosen = {}
        for key, values in (("method", METHODS), ("pruner", PRUNERS)):
            chosen[key] = table.get(key, values[0])
            if chosen[key] not in values:
                what = f"{key} cannot be {chosen[key]!r}."
                raise self.error(what, f"Choose one of {', '.join(values)}.", f"[search] {key}")
        space = table.get("space")
        if not isinstance(space, Mapping) or not space:
            raise self.error("A search needs a space.", hint, "[search]")
        ranges: dict[str, Range] = {}
        for key, value in _ranges(space).items():
            location = f"[search.space] {key}"
            if not _key(key) or key == "plugin":
                raise self.error(f"A run has no option or setting {key!r}.", did_you_mean(key, SETTINGS), location)
            try:
                ranges[key] = read_range(value)
            except ValueError as error:
                raise self.error(str(error), "For example {low = 1e-4, high = 1e-1, log = true}.", location) from error
        return Search(ranges, trials, seed, **chosen)

    def options(self, table: Any, prefix: str) -> dict[str, Any]:
        """The options in a table of the grid.

        Args:
            table: options of ``ffprobe run`` and settings, nested or with dotted keys.
            prefix: the location of the table, followed by the separator before a key: ``"[each] "``.
        """
        if not isinstance(table, Mapping):
            location = prefix.rstrip(" .")
            raise self.error(f"{location} must be a table of options.", 'For example {plugin = "olu"}.', location)
        return self._merged(self._option(key, value, f"{prefix}{key}") for key, value in table.items())

    @staticmethod
    def _merged(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        options: dict[str, Any] = {}
        for part in parts:
            settings = {**options.get("set", {}), **part.get("set", {})}
            options |= {**part, "set": settings} if settings else part
        return options

    def _option(self, key: str, value: Any, location: str) -> dict[str, Any]:
        option = key.replace("-", "_")
        if option in NOT_IN_A_GRID:
            raise self.error(f"A grid cannot set {key!r}; the sweep does.", "Remove it from the grid.", location)
        if option == "set" and not isinstance(value, Mapping):
            raise self.error("set must be a table.", 'Write set = {"network.width" = 0.25}.', location)
        if option == "set":
            return {"set": _flat(value)}
        if option in OPTIONS:
            return {option: self._value(option, value, location)}
        if key.partition(".")[0] in SETTINGS:
            return {"set": _flat({key: value})}
        raise self.error(f"A run has no option or setting {key!r}.", did_you_mean(key, [*OPTIONS, *SETTINGS]), location)

    def _value(self, option: str, value: Any, location: str) -> Any:
        if option == "plugin":
            words = [value] if isinstance(value, str) else value
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise self.error("plugin must be a name or a list of names.", 'For example ["olu", "symba"].', location)
            return [self._expanded(word, location) for word in words]
        kind = KINDS.get(option, str)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise self.error(f"{option} cannot be {value!r}.", f"It must be of the type {kind.__name__}.", location)
        return self._expanded(str(value), location) if kind is str else value

    def _expanded(self, text: str, location: str) -> str:
        """The text with every ``${NAME}`` replaced by the environment variable."""
        for name in re.findall(r"\$\{(\w+)\}", text):
            if name not in os.environ:
                hint = f"For example: {name}=/path/to/it ffprobe sweep {self.path or 'GRID.toml'}"
                raise self.error(f"The environment variable {name} is not set.", hint, location)
        return re.sub(r"\$\{(\w+)\}", lambda match: os.environ[match[1]], text)


def trial_point(search: Search, number: int, drawn: Mapping[str, Any]) -> Point:
    """The point of a trial.

    Args:
        search: the search.
        number: of the trial, from 1.
        drawn: the values of its settings, by dotted key.
    """
    name = f"{AXIS}-{number:0{len(str(search.trials))}}"
    return Point(AXIS, name, _Reader(None).options(drawn, "[search.space] "), f"[search], trial {number}")


def _value(point: Point) -> str:
    """The name of a point without the key of its axis: ``0`` for ``seed=0``."""
    return point.name.removeprefix(f"{point.axis.rpartition('.')[2]}=")


def _key(axis: str) -> str | None:
    """The option or setting that an axis of this name varies; None if the name is neither."""
    option = axis.replace("-", "_")
    return option if option in OPTIONS and option != "set" else axis if axis.partition(".")[0] in SETTINGS else None


def _ranges(space: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The ranges of a space by dotted key: a table without ``low`` or ``values`` is a level of the key."""
    flat: dict[str, Any] = {}
    for key, value in space.items():
        nested = isinstance(value, Mapping) and not {"low", "high", "values"} & set(value)
        flat |= _ranges(value, f"{prefix}{key}.") if nested and value else {f"{prefix}{key}": value}
    return flat


def _unnested(axes: Mapping[str, Any]) -> dict[str, Any]:
    """The axes with ``loss.alpha = [...]`` under its dotted name, which TOML reads as a nested table."""
    flat: dict[str, Any] = {}
    for name, points in axes.items():
        nested = isinstance(points, Mapping) and points and all(isinstance(v, list) for v in points.values())
        flat |= {f"{name}.{key}": values for key, values in points.items()} if nested else {name: points}
    return flat


def _point_name(key: str, value: Any) -> str:
    """The name of a value of a listed axis, as used in file names."""
    if key == "plugin":
        words = [value] if isinstance(value, str) else value if isinstance(value, list) else [str(value)]
        return "+".join(str(word) for word in words) or "none"
    if isinstance(value, str):
        return value
    return f"{key.rpartition('.')[2]}={value}"


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested table as one table with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        flat |= _flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat


def toml_value(value: Any) -> str:
    """A value as text that ``--set`` parses back to the same value."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        try:  # quoted only if it would otherwise be parsed as another value
            tomllib.loads(f"value = {value}")
        except tomllib.TOMLDecodeError:
            return value
        return _quoted(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_quoted(str(key))} = {_inner(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inner, value))}]"
    return repr(value)


def _inner(value: Any) -> str:
    return _quoted(value) if isinstance(value, str) else toml_value(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # the escapes of JSON are those of a basic string in TOML
