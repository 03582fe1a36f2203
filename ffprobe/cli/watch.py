"""``ffprobe show RUN --watch``: follows a run that another process writes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffprobe.cli.console import State, json_text, stderr, stdout
from ffprobe.cli.live_table import METRICS, RunState, live_table, log_line
from ffprobe.display import plain_text
from ffprobe.errors import FileError

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

SECONDS = 1.0
"""Seconds between two reads of the file."""
START = 30.0
"""Seconds to wait for a file that does not exist yet: a run loads its data before it creates the file."""
MAX_FAILURES = 10
"""Maximum number of consecutive failed reads: a read can fail while the writer is writing."""


def look(path: Path) -> RunState:
    """Open the file, read the committed epochs and close it again; an open file does not show later commits."""
    from ffprobe.store.caps import VIEW_LIMIT
    from ffprobe.store.reader import open_run

    with open_run(path, limit=VIEW_LIMIT) as run:
        epochs = run.read("metrics/epoch").tolist()
        metrics = {name: _read(run, name, len(epochs)) for name in (*METRICS, "wall_time")}
        layers = [str(name) for name in run.read("metrics/layer")]
        planned = (run.config.get("training") or {}).get("epochs")
        title = str(run.attributes.get("title", ""))
        return RunState(path, run.complete, planned if isinstance(planned, int) else 0, title, layers, epochs, metrics)


def _read(run: RunFile, name: str, count: int) -> list[Any]:
    path = f"metrics/{name}"
    return run.read(path).tolist() if run.has(path) else [float("nan")] * count


def follow(out: Path) -> Iterator[RunState]:
    """Read the run repeatedly until it is finished; the last item is complete.

    Args:
        out: ``run.h5``, or its ``.partial``.

    Raises:
        FileError: there is no such run, its process ended early, or the file disappeared or stays unreadable.
    """
    from ffprobe.store.file_lock import is_held
    from ffprobe.store.names import final_of, partial_of

    partial, final = partial_of(out), final_of(out)
    failures, latest = 0, None
    until = time.monotonic() + START
    if not (partial.exists() or final.exists()):
        stderr().print(f"Waiting for {final} ...", markup=False)
    while not (partial.exists() or final.exists()) and time.monotonic() < until:
        time.sleep(SECONDS / 4)
    while True:
        held = partial.exists() and is_held(partial)  # checked before the read, so that the read has the last commit
        waiting = partial.exists()
        try:
            latest = look(partial if waiting else final)
            failures = 0
        except FileError:
            failures += 1
            if failures >= MAX_FAILURES or not (held or waiting or final.exists()):
                raise
            time.sleep(SECONDS / 4)
            continue
        yield latest
        if latest.complete:
            return
        if not held and partial.exists():
            raise _stopped(latest, partial, final)
        time.sleep(SECONDS if held else 0)


def _stopped(latest: RunState, partial: Path, final: Path) -> FileError:
    done = f"{len(latest.epochs)} of {latest.planned} epochs are committed"
    return FileError(
        f"The run ended early: no process is writing it, and {done}.",
        where=str(partial),
        hint=f"Resume it with `ffprobe run --resume --out {final}`.",
    )


def watch(out: Path, as_json: bool) -> None:
    """Follow a run with a live table on a terminal, one line per epoch in a log, or JSON lines.

    Raises:
        FileError: as ``follow``.
    """
    console = stdout()
    if as_json or not console.is_terminal or console.is_dumb_terminal:
        _lines(out, as_json)
        return
    from rich.live import Live

    with Live(console=console, auto_refresh=False, transient=False) as live:
        for latest in follow(out):
            live.update(live_table(latest, console.width, console.height), refresh=True)
    console.print(f"{latest.path} is finished.", markup=False)


def _lines(out: Path, as_json: bool) -> None:
    printed = 0
    for latest in follow(out):
        for row in range(printed, len(latest.epochs)):
            _print_line(json_text(latest.values(row)) if as_json else plain_text(log_line(latest, row), one_line=True))
        printed = len(latest.epochs)
    end = {"event": "finished", "path": str(latest.path), "epoch": latest.epochs[-1] if latest.epochs else 0}
    _print_line(json_text(end) if as_json else plain_text(f"{latest.path} is finished.", one_line=True))


def _print_line(line: str) -> None:
    stream = State.results or sys.stdout
    stream.write(line + "\n")
    stream.flush()  # a reader of the pipe must receive each line immediately
