"""Turns a grid into runs: the command line, the run file and the status of each."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ffprobe.components.executor import Job
from ffprobe.config.differences import deciding, differences
from ffprobe.config.options import RunOptions, recorded_config
from ffprobe.config.parsing import assignments
from ffprobe.config.resolve import resolve
from ffprobe.config.settings import RunConfig
from ffprobe.config.trust import check_code, code_in, code_of
from ffprobe.errors import FfprobeError, FileError, UsageError
from ffprobe.plugin.registry import Registry
from ffprobe.store.file_lock import is_held
from ffprobe.store.names import partial_of, run_file
from ffprobe.sweep.grid import LISTS, Grid, Point, toml_value

Status = Literal["finished", "running", "unfinished", "new"]
LOGS = "logs"
"""Subdirectory of the output directory for logs."""
MAX_RUNS = 100_000
"""Maximum number of runs of a grid; a larger one is a mistake, and its plan would take minutes."""


@dataclass(frozen=True)
class PlannedRun:
    """One run of a sweep.

    Attributes:
        job: its command and its run file.
        config: the resolved config of the run.
        status: ``finished``: the run file exists; ``running``: a process is writing it; ``unfinished``: it was
            interrupted and will be resumed; ``new``: there is no file.
        points: the points of the grid that it stands for, one of every axis.
    """

    job: Job
    config: RunConfig
    status: Status
    points: tuple[Point, ...] = ()


def plan(
    grid: Grid,
    out: Path,
    registry: Registry,
    folder: Path | None = None,
    *,
    trust: bool = False,
    named: Iterable[str] = (),
) -> list[PlannedRun]:
    """All runs of a grid, validated before the first one starts.

    Args:
        grid: the grid.
        out: the directory for run files; it need not exist.
        registry: the plugins to search.
        folder: the working directory of the runs; the current one by default.
        trust: whether to import the plugins that the grid, or a file that it names, has as ``./file.py`` or
            ``module:attr``.
        named: the absolute names of those that the user named as well.

    Raises:
        FfprobeError: the config of a run is invalid (unknown plugin, two plugins for one slot, a setting out of range);
            ``where`` names the table and key of the point that causes it.
        UsageError: two runs have the same file name, or one that is too long; an existing file was made with other
            settings; the grid has more than ``MAX_RUNS`` runs, or names code without ``trust``.
    """
    if grid.size > MAX_RUNS:
        axes = " x ".join(f"{len(points)} {name}" for name, points in grid.axes.items())
        raise UsageError(
            f"The grid has {grid.size:,} runs ({axes}); a sweep has at most {MAX_RUNS:,}.",
            where=str(grid.path),
            hint="Restrict an axis with --only AXIS=POINT,POINT, or remove points.",
        )
    _check_code(grid, set(named), trust)
    folder = folder or Path.cwd()
    runs: dict[str, tuple[PlannedRun, tuple[Point, ...]]] = {}
    for points in grid.cells():
        options = replace(_options(grid, points), trust=trust)
        config = _resolved(grid, points, options, registry)
        name = "_".join(_slug(point.name) for point in points)
        if name in runs:
            _refuse_same_name(grid, name, points, runs[name][1])
        file = out / f"{name}.h5"
        run_file(file)  # refuses a name that is too long
        command = ("run", *options.words(), "--out", str(file), "--resume")
        job = Job(name, command, file, out / LOGS / f"{name}.log", folder)
        runs[name] = (PlannedRun(job, config, run_status(file), points), points)
    planned = [run for run, _ in runs.values()]
    _refuse_other_settings(planned, registry)
    return planned


def run_status(out: Path) -> Status:
    """The status of the run that writes ``out``."""
    partial = partial_of(out)
    if out.exists():
        return "finished"
    if not partial.exists():
        return "new"
    return "running" if is_held(partial) else "unfinished"


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
    """An axis may override ``[each]``; two axes must not set one option to different values."""
    before = by.get(key)
    if before is not None and before.axis and old != new:
        raise UsageError(
            f"The axes {before.axis!r} and {point.axis!r} both set {key!r}, to {old!r} and to {new!r}.",
            where=grid.where(point),
            hint="Set it in only one of them.",
        )
    by[key] = point


def _check_code(grid: Grid, named: set[str], trust: bool) -> None:
    """Refuse plugins that the grid names as files or ``module:attr``; those in its files are checked with each run."""
    for point in (grid.each, *(point for points in grid.axes.values() for point in points)):
        options = point.options
        words = [*options.get("plugin", ()), *([options["dataset"]] if options.get("dataset") else [])]
        settings = assignments(f"{name}={toml_value(value)}" for name, value in options.get("set", {}).items())
        check_code({**code_of(words), **code_in(settings)}, named, trust=trust, where=grid.where(point))


def _resolved(grid: Grid, points: Sequence[Point], options: RunOptions, registry: Registry) -> RunConfig:
    try:
        return resolve(options.table(registry), registry)
    except FfprobeError as error:
        raise _located(grid, points, error, registry, options.trust) from error


def _located(grid: Grid, points: Sequence[Point], error: FfprobeError, registry: Registry, trust: bool) -> FfprobeError:
    """The error with the location of the first point whose options make the config invalid."""
    for count in range(len(points) + 1):
        try:
            options = replace(_options(grid, points[:count]), trust=trust)
            resolve(options.table(registry), registry)
        except FfprobeError as earlier:
            where = grid.where(points[count - 1] if count else grid.each)
            where = f"{where}; {earlier.where}" if earlier.where else where
            return type(earlier)(earlier.what, where=where, hint=earlier.hint)
    return error


def _slug(name: str) -> str:
    """A name without the characters that are invalid in a file name on some system; letters of any script stay."""
    name = unicodedata.normalize("NFC", name)
    short = re.sub(r"(?:[^\w.+=-]|_)+", "-", name.replace(":", "-")).strip("-.")
    return short or f"x{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def _refuse_same_name(grid: Grid, name: str, points: Sequence[Point], others: Sequence[Point]) -> None:
    different = next((p for p, o in zip(points, others, strict=True) if p is not o), points[0])
    raise UsageError(
        f"Two runs of the grid would write the same file, {name}.h5.",
        where=grid.where(different),
        hint="The points of an axis must have different names; remove or rename one of them.",
    )


def _refuse_other_settings(runs: Sequence[PlannedRun], registry: Registry) -> None:
    """Refuse an existing run file with another config than the grid has: its results would be taken for this run's."""
    for run in runs:
        if run.status == "new":
            continue
        file = run.job.out if run.status == "finished" else partial_of(run.job.out)
        try:
            recorded = recorded_config(file)
        except FileError:
            if run.status == "finished":
                raise
            continue  # interrupted before its first commit: the run itself starts again or reports the error
        requested = run.config.to_dict()
        if set(code_in(recorded)) <= set(code_in(requested)):  # imports nothing that only the file names
            recorded = _completed(recorded, registry)
        changed = list(differences(deciding(recorded), deciding(requested)))
        if changed:
            raise UsageError(
                f"This file was made with other settings than the grid has now: {'; '.join(changed[:4])}.",
                where=str(file),
                hint="Choose another directory with --out, delete the file, or undo the change.",
            )


def _completed(recorded: dict[str, Any], registry: Registry) -> dict[str, Any]:
    """A recorded config with defaults for settings added since; unchanged if it is no longer valid."""
    try:
        return resolve(recorded, registry).to_dict()
    except FfprobeError:
        return recorded


def left_to_do(runs: Sequence[PlannedRun]) -> list[Job]:
    """The jobs of all new and unfinished runs."""
    return [run.job for run in runs if run.status in ("new", "unfinished")]


def refreshed(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The same runs with their current status."""
    return [replace(run, status=run_status(run.job.out)) for run in runs]
