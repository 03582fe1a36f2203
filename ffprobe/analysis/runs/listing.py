"""A list of runs: state, plugins, accuracy, epochs, age and size of each, without reading its arrays."""

from __future__ import annotations

import math
import re
import time
from calendar import timegm
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ffprobe.analysis.runs.find import current_name, find_runs
from ffprobe.analysis.runs.labels import config_components, joined_label, preset_and_changes
from ffprobe.errors import FileError, UsageError, describe, did_you_mean

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

State = Literal["running", "interrupted", "damaged", "unreadable", "finished"]
STATES: tuple[State, ...] = ("running", "interrupted", "damaged", "unreadable", "finished")
"""The states in the order in which they are sorted."""
ROWS = 1024
"""Rows that are read at once when the last measured value of a metric is searched."""


@dataclass(frozen=True)
class ListedRun:
    """One run in a list.

    Attributes:
        path: path of the run file.
        state: ``running``: a process is writing the file; ``interrupted``: none is, and the run has not finished;
            ``finished``; ``damaged``: the file cannot be read; ``unreadable``: another program or a newer version of
            ffprobe wrote it, or permission is denied.
        size: size of the file in bytes.
        began: Unix time at which the run began; that of the last change of a file that cannot be read.
        reason: why the file cannot be read, a sentence; otherwise empty.
        dataset: name of the data set.
        preset: name of the preset; ``vanilla-ff`` without one.
        changes: names of the plugins that differ from the preset, without the data set.
        components: name of the component in each slot.
        seed: the root seed; None if the file does not contain it.
        accuracy: accuracy by the run's evaluator in percent, at the last evaluation; NaN if there was none.
        part: the images of that accuracy: ``test`` if the run finished and tested, else ``validation``.
        epochs: number of epochs done.
        planned: number of epochs of a whole run; None if the config does not contain it.
        seconds: wall time of the run so far; NaN if it is unknown.
        config: the resolved config; empty if the file cannot be read.
    """

    path: Path
    state: State
    size: int = 0
    began: float = math.nan
    reason: str = ""
    dataset: str = ""
    preset: str = ""
    changes: tuple[str, ...] = ()
    components: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    accuracy: float = math.nan
    part: Literal["test", "validation"] = "validation"
    epochs: int = 0
    planned: int | None = None
    seconds: float = math.nan
    config: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def readable(self) -> bool:
        """Whether the file could be read."""
        return not self.reason

    @property
    def label(self) -> str:
        """The preset and the plugins that differ from it, such as ``trifecta+tff-d``; empty if unreadable."""
        return joined_label(self.preset, self.changes) if self.readable else ""

    def age(self) -> float:
        """Seconds since the run began; NaN if that is unknown."""
        return max(0.0, time.time() - self.began)

    def to_dict(self) -> dict[str, Any]:
        """The run as plain values; None for what is unknown."""
        measured, known = math.isfinite(self.accuracy), self.readable
        return {
            "path": str(self.path),
            "state": self.state,
            "reason": self.reason or None,
            "label": self.label or None,
            "preset": self.preset or None,
            "plugins": dict(self.components),
            "seed": self.seed,
            "accuracy": self.accuracy if measured else None,
            "accuracy_of": self.part if measured else None,
            "epochs": self.epochs if known else None,
            "epochs_planned": self.planned,
            "age_seconds": round(self.age()) if math.isfinite(self.began) else None,
            "bytes": self.size,
        }


def list_runs(*paths: str | Path, sort: str = "name", reverse: bool = False) -> list[ListedRun]:
    """List runs, as ``ffprobe ls`` does; a file that cannot be read is an entry with the reason.

    Args:
        paths: run files, and directories that are searched; the current directory by default.
        sort: ``name``, ``accuracy`` (highest first), ``age`` (newest first), ``epochs`` and ``size`` (largest first),
            or ``state`` (running first).
        reverse: whether to reverse that order. Runs for which it is unknown are last in both.

    Raises:
        FileError: there is no such file or directory.
        UsageError: there is no such order.
    """
    return sort_runs([list_run(path) for path in find_runs(*(paths or (".",)))], sort, reverse)


def sort_runs(runs: Sequence[ListedRun], sort: str = "name", reverse: bool = False) -> list[ListedRun]:
    """The runs in an order of ``list_runs``; runs that are equal in it are sorted by name.

    Raises:
        UsageError: there is no such order.
    """
    if sort not in ORDERS:
        raise UsageError(f"Runs cannot be sorted by {sort!r}.", hint=did_you_mean(sort, ORDERS))
    key, by_name = ORDERS[sort], sorted(runs, key=_natural)
    unknown = [run for run in by_name if key(run) is None]
    return sorted((run for run in by_name if key(run) is not None), key=key, reverse=reverse) + unknown


def list_run(path: str | Path) -> ListedRun:
    """The entry of one run file; reads a few attributes and numbers, and of an unfinished run its commits."""
    from ffprobe.store.file_lock import is_held
    from ffprobe.store.names import is_partial

    path = current_name(Path(path))
    state: State = "finished"
    if is_partial(path):
        state = "running" if is_held(path) else "interrupted"
    size, changed = _stat(path)
    file = ListedRun(path, state, size, changed)
    try:
        return _glanced(file) or _opened(file)
    except Exception as error:  # one bad file must not end the list
        if current_name(path) != path:  # the run finished in between
            return list_run(path)
        reason = error.what if isinstance(error, FileError) else f"The file cannot be read: {describe(error)}."
        return replace(file, state=state if state == "running" else _state_of(path, error), reason=reason)


def _glanced(file: ListedRun) -> ListedRun | None:
    """The entry of a finished run by a first look; None if the file has to be opened."""
    from ffprobe.store.glance import glance

    look = glance(file.path) if file.state == "finished" else None
    if look is None:
        return None
    tested = math.isfinite(look.test)
    return replace(
        _configured(file, look.config, look.created_utc),
        accuracy=100 * (look.test if tested else look.validation),
        part="test" if tested else "validation",
        epochs=look.epochs,
        seconds=look.seconds,
    )


def _opened(file: ListedRun) -> ListedRun:
    """The entry of any run."""
    from ffprobe.analysis.runs.summary import summarize
    from ffprobe.store.caps import VIEW_LIMIT
    from ffprobe.store.reader import open_run

    with open_run(file.path, limit=VIEW_LIMIT) as run:
        entry = replace(_configured(file, run.config, run.attributes.get("created_utc")), epochs=run.epochs)
        if not run.complete:
            accuracy = 100 * _last_measured(run, "metrics/model_validation_accuracy")
            return replace(entry, accuracy=accuracy, seconds=_last_measured(run, "metrics/wall_time"))
        summary = summarize(run)
        tested = math.isfinite(summary.test)
        accuracy = summary.test if tested else summary.validation
        return replace(entry, accuracy=accuracy, part="test" if tested else "validation", seconds=summary.seconds)


def _configured(file: ListedRun, config: Mapping[str, Any], created: object) -> ListedRun:
    """The entry with what its config says."""
    training, seed = config.get("training"), config.get("seed")
    planned = training.get("epochs") if isinstance(training, Mapping) else None
    preset, changes = preset_and_changes(config)
    components = config_components(config)
    return replace(
        file,
        began=_time(created, file.began),
        dataset=components.get("dataset", ""),
        preset=preset,
        changes=tuple(changes),
        components=components,
        seed=seed if isinstance(seed, int) else None,
        planned=planned if isinstance(planned, int) else None,
        config=config,
    )


def _last_measured(run: RunFile, path: str) -> float:
    import numpy as np

    values = run.variable(path) if run.has(path) else ()
    for stop in range(len(values), 0, -ROWS):
        rows = np.asarray(values[max(0, stop - ROWS) : stop], dtype=float)
        if (measured := rows[np.isfinite(rows)]).size:
            return float(measured[-1])
    return math.nan


def _time(created: object, otherwise: float) -> float:
    try:
        return float(timegm(time.strptime(str(created), "%Y-%m-%dT%H:%M:%SZ")))
    except ValueError:
        return otherwise


def _stat(path: Path) -> tuple[int, float]:
    """Size in bytes and the time of the last change."""
    try:
        status = path.stat()
    except OSError:
        return 0, math.nan
    return status.st_size, status.st_mtime


def _state_of(path: Path, error: Exception) -> State:
    """Whether a file that is no readable run is intact: then it is only not for this version, or this user."""
    import h5py

    from ffprobe.store.hdf5_errors import HDF5_FAILURES
    from ffprobe.store.layout import LOCKING
    from ffprobe.store.schema import FORMAT

    if isinstance(error.__cause__, PermissionError):
        return "unreadable"
    try:
        with h5py.File(path, "r", locking=LOCKING) as file:
            version = file.attrs.get("ffprobe_format")
    except (*HDF5_FAILURES, TypeError):
        return "damaged"
    return "damaged" if version == FORMAT else "unreadable"


def _natural(run: ListedRun) -> tuple[list[tuple[int, str]], str]:
    """Key that sorts names with numbers: ``seed-9`` before ``seed-10``."""
    parts = re.split(r"(\d+)", str(run.path))
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts], str(run.path)


ORDERS: Mapping[str, Callable[[ListedRun], Any]] = {
    "name": _natural,
    "accuracy": lambda run: -run.accuracy if math.isfinite(run.accuracy) else None,
    "age": lambda run: -run.began if math.isfinite(run.began) else None,
    "epochs": lambda run: -run.epochs if run.readable else None,
    "size": lambda run: -run.size,
    "state": lambda run: STATES.index(run.state),
}
"""The key of each order of ``sort_runs``; None for a run of which it is unknown."""
