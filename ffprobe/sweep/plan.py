"""From a grid to runs: one command line and one file for each, and what has become of them so far."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ffprobe.components.executor import Job
from ffprobe.config.differences import differences
from ffprobe.config.options import RunOptions, recorded_config
from ffprobe.config.resolve import resolve
from ffprobe.config.settings import RunConfig
from ffprobe.errors import FfprobeError, FileError, UsageError
from ffprobe.plugin.registry import Registry
from ffprobe.store.file_lock import is_held
from ffprobe.store.names import partial_of
from ffprobe.sweep.grid import LISTS, Grid, Point, toml_value

Status = Literal["finished", "running", "begun", "new"]
LOGS = "logs"
CIRCUMSTANCES = ("data", "device", "preset")
"""Keys of a config that say where and how a run was asked for, and nothing of what is learned."""


@dataclass(frozen=True)
class PlannedRun:
    """One run of a sweep.

    Attributes:
        job: its command and its file.
        config: everything resolved, as the run will have it.
        standing: ``finished``: the file is there; ``running``: some process writes it now; ``begun``: it was left
            unfinished and will be gone on with; ``new``.
    """

    job: Job
    config: RunConfig
    standing: Status


def plan(grid: Grid, out: Path, registry: Registry, folder: Path | None = None) -> list[PlannedRun]:
    """Every run of a grid, checked before anything starts.

    Args:
        grid: what to run.
        out: the directory for run files; need not be there yet.
        registry: where plugins are found.
        folder: the directory to start the runs in; the current one unless given.

    Raises:
        FfprobeError: a run cannot be put together (unknown plugin, clashing slots, a setting out of range): with the
            line of the point that brought it in.
        UsageError: two runs have the same file name, or a finished file was made with other settings.
    """
    folder = folder or Path.cwd()
    runs: dict[str, tuple[PlannedRun, tuple[Point, ...]]] = {}
    for points in grid.cells():
        options = _options(grid, points)
        config = _resolved(grid, points, options, registry)
        name = "_".join(_slug(point.name) for point in points)
        if name in runs:
            _refuse_same_name(grid, name, points, runs[name][1])
        file = out / f"{name}.h5"
        command = ("run", *options.words(), "--out", str(file), "--resume")
        job = Job(name, command, file, out / LOGS / f"{name}.log", folder)
        runs[name] = (PlannedRun(job, config, standing(file)), points)
    found = [run for run, _ in runs.values()]
    _refuse_other_settings(found, registry)
    return found


def standing(out: Path) -> Status:
    """What has become of a run file so far."""
    partial = partial_of(out)
    if out.exists():
        return "finished"
    if not partial.exists():
        return "new"
    return "running" if is_held(partial) else "begun"


def _options(grid: Grid, points: Sequence[Point]) -> RunOptions:
    merged: dict[str, Any] = {}
    by: dict[str, Point] = {}
    for point in (grid.each, *points):
        for key, value in point.options.items():
            if key == "set":
                settings = merged.setdefault("set", {})
                for name, setting in value.items():
                    _refuse_two(grid, by, point, name, settings.get(name), setting)
                    settings[name] = setting
            elif key in LISTS:
                merged[key] = [*merged.get(key, []), *value]
            else:
                _refuse_two(grid, by, point, key, merged.get(key), value)
                merged[key] = value
    words = tuple(f"{name}={toml_value(value)}" for name, value in merged.pop("set", {}).items())
    values = {"from_" if k == "from" else k: v for k, v in merged.items()}
    for key in ("config", "from_"):
        if key in values:
            values[key] = Path(values[key])
    return RunOptions(**{**values, "plugin": tuple(values.get("plugin", ())), "set": words})


def _refuse_two(grid: Grid, by: dict[str, Point], point: Point, key: str, old: Any, new: Any) -> None:
    """An axis may change what every run has; two axes may not fight over one setting."""
    before = by.get(key)
    if before is not None and before.axis and old != new:
        raise UsageError(
            f"The axes {before.axis!r} and {point.axis!r} both set {key!r}, to {old!r} and to {new!r}.",
            where=grid.place(point.line),
            hint="Let one of them set it.",
        )
    by[key] = point


def _resolved(grid: Grid, points: Sequence[Point], options: RunOptions, registry: Registry) -> RunConfig:
    try:
        return resolve(options.table(registry), registry)
    except FfprobeError as error:
        raise _placed(grid, points, error, registry) from error


def _placed(grid: Grid, points: Sequence[Point], error: FfprobeError, registry: Registry) -> FfprobeError:
    """The error with the line of the first point with which the run can no longer be put together."""
    for count in range(len(points) + 1):
        try:
            resolve(_options(grid, points[:count]).table(registry), registry)
        except FfprobeError as earlier:
            last = points[count - 1] if count else grid.each
            placed = type(earlier)(earlier.what, where=grid.place(last.line), hint=earlier.hint)
            return placed if not earlier.where else _told_where(placed, earlier)
    return error


def _told_where(placed: FfprobeError, error: FfprobeError) -> FfprobeError:
    placed.where = f"{placed.where}; {error.where}"
    return placed


def _slug(name: str) -> str:
    """What of a name may stand in a file name everywhere."""
    return re.sub(r"[^A-Za-z0-9.+=-]+", "-", name.replace(":", "-")).strip("-.") or "x"


def _refuse_same_name(grid: Grid, name: str, points: Sequence[Point], others: Sequence[Point]) -> None:
    line = next((p.line for p, o in zip(points, others, strict=True) if p is not o), points[0].line)
    raise UsageError(
        f"Two runs of the grid would write the same file, {name}.h5.",
        where=grid.place(line),
        hint="Every axis needs points with different names; drop the one that is there twice.",
    )


def _refuse_other_settings(runs: Sequence[PlannedRun], registry: Registry) -> None:
    """A finished or begun file must be of the run that the grid asks for now, else its numbers would pass for it."""
    for run in runs:
        if run.standing == "new":
            continue
        file = run.job.out if run.standing == "finished" else partial_of(run.job.out)
        try:
            recorded = recorded_config(file)
        except FileError:
            if run.standing == "finished":
                raise
            continue  # begun and cut short before its first commit: the run itself starts it afresh or says why not
        changed = list(differences(_deciding(_filled(recorded, registry)), _deciding(run.config.to_dict())))
        if changed:
            raise UsageError(
                f"This file was made with other settings than the grid has now: {'; '.join(changed[:4])}.",
                where=str(file),
                hint="Choose another directory with --out, delete the file, or undo the change.",
            )


def _filled(recorded: dict[str, Any], registry: Registry) -> dict[str, Any]:
    """A recorded config with the defaults of settings that have come since; as it is where it no longer resolves."""
    try:
        return resolve(recorded, registry).to_dict()
    except FfprobeError:
        return recorded


def _deciding(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in CIRCUMSTANCES}


def left_to_do(runs: Sequence[PlannedRun]) -> list[Job]:
    """The jobs of runs that are neither finished nor in somebody's work."""
    return [run.job for run in runs if run.standing in ("new", "begun")]


def refreshed(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The same runs as the disk has them now."""
    return [replace(run, standing=standing(run.job.out)) for run in runs]
