"""``ffprobe show RUN --watch``: follows a run that another process writes."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffprobe.cli.console import State, finite, json_text, stderr, stdout
from ffprobe.display import plain_text
from ffprobe.errors import FileError

if TYPE_CHECKING:
    from rich.console import Group

    from ffprobe.store.reader import RunFile

SECONDS = 1.0
"""Seconds between two reads of the file."""
START = 30.0
"""Seconds to wait for a file that does not exist yet: a run loads its data before it creates the file."""
MAX_FAILURES = 10
"""Maximum number of consecutive failed reads: a read can fail while the writer is writing."""
METRICS = (
    *("loss", "goodness_positive", "goodness_negative", "validation_accuracy", "model_validation_accuracy"),
    *("images_per_second", "learning_rate"),
)
BLOCKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Look:
    """The contents of the run file at one time.

    Attributes:
        path: the file that was read.
        complete: whether the run is finished.
        planned: the total number of epochs; 0 if the config does not contain it.
        title: the title of the run.
        layers: the names of the layers.
        epochs: the numbers of the committed epochs, from 1.
        metrics: metrics by name, one entry per epoch: a list with one number per layer, or a number.
    """

    path: Path
    complete: bool
    planned: int
    title: str
    layers: list[str]
    epochs: list[int]
    metrics: dict[str, list[Any]] = field(repr=False)

    def line(self, row: int) -> dict[str, Any]:
        """One epoch as plain values: accuracies as fractions, None for a metric that was not measured."""
        metrics = {name: self.metrics[name][row] for name in METRICS}
        times = {"seconds": self.metrics["wall_time"][row], "seconds_left": self.seconds_left(row)}
        return finite({"event": "epoch", "epoch": self.epochs[row], "epochs_planned": self.planned, **metrics, **times})

    def seconds_left(self, row: int = -1) -> float:
        """The estimated time to the end of the run, from the last epochs up to ``row``; NaN before the first epoch."""
        if not self.epochs:
            return float("nan")
        row = row % len(self.epochs)
        first = max(0, row - 10)
        times = self.metrics["wall_time"]
        spans = row - first
        pace = (times[row] - times[first]) / spans if spans else times[row]
        return pace * max(0, self.planned - self.epochs[row])


def look(path: Path) -> Look:
    """Open the file, read the committed epochs and close it again; an open file does not show later commits."""
    from ffprobe.store.caps import VIEW_LIMIT
    from ffprobe.store.reader import open_run

    with open_run(path, limit=VIEW_LIMIT) as run:
        epochs = run.read("metrics/epoch").tolist()
        metrics = {name: _read(run, name, len(epochs)) for name in (*METRICS, "wall_time")}
        layers = [str(name) for name in run.read("metrics/layer")]
        planned = (run.config.get("training") or {}).get("epochs")
        title = str(run.attributes.get("title", ""))
        return Look(path, run.complete, planned if isinstance(planned, int) else 0, title, layers, epochs, metrics)


def _read(run: RunFile, name: str, count: int) -> list[Any]:
    path = f"metrics/{name}"
    return run.read(path).tolist() if run.has(path) else [float("nan")] * count


def follow(out: Path) -> Iterator[Look]:
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


def _stopped(latest: Look, partial: Path, final: Path) -> FileError:
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
            live.update(screen(latest, console.width), refresh=True)
    console.print(f"{latest.path} is finished.", markup=False)


def _lines(out: Path, as_json: bool) -> None:
    printed = 0
    for latest in follow(out):
        for row in range(printed, len(latest.epochs)):
            line = latest.line(row)
            _print_line(json_text(line) if as_json else _text(line))
        printed = len(latest.epochs)
    end = {"event": "finished", "path": str(latest.path), "epoch": latest.epochs[-1] if latest.epochs else 0}
    _print_line(json_text(end) if as_json else plain_text(f"{latest.path} is finished.", one_line=True))


def _print_line(line: str) -> None:
    stream = State.results or sys.stdout
    stream.write(line + "\n")
    stream.flush()  # a reader of the pipe must receive each line immediately


def _text(line: dict[str, Any]) -> str:
    text = f"epoch {line['epoch']}/{line['epochs_planned']}: loss {_numbers(line['loss'], 3)}"
    if any(value is not None for value in line["validation_accuracy"]):
        text += f"  validation % {_numbers(line['validation_accuracy'], 1, 100)}"
    return text


def _numbers(values: list[float | None], digits: int, scale: float = 1) -> str:
    return " ".join("–" if value is None else f"{scale * value:.{digits}f}" for value in values)


def screen(latest: Look, width: int) -> Group:
    """The state of a run as a rich renderable.

    Args:
        latest: the latest state of the run file.
        width: the width of the terminal in columns.
    """
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    done, metrics = len(latest.epochs), latest.metrics
    head = Text(f"{latest.path}", style="bold", no_wrap=True, overflow="ellipsis")
    bar = ProgressBar(total=max(latest.planned, 1), completed=done, width=max(10, min(60, width - 30)))
    progress = Table.grid(padding=(0, 1))
    progress.add_row(f"epoch {done}/{latest.planned}", bar)
    facts = [latest.title]
    if done:
        facts.append(f"{metrics['images_per_second'][-1]:,.0f} images/s")
        facts.append(f"{_clock(metrics['wall_time'][-1])} elapsed")
        facts.append("finished" if latest.complete else f"about {_clock(latest.seconds_left())} left")
    else:
        facts.append("no epoch is committed yet")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("layer")
    for name in ("loss", "positive", "negative", "validation"):
        table.add_column(name, justify="right")
    room = max(0, min(40, width - 58))
    table.add_column("loss over epochs" if room >= 16 else "")
    for i, layer in enumerate(latest.layers):
        history = [row[i] for row in metrics["loss"]] if done else []
        table.add_row(
            str(int(layer) + 1) if layer.isdigit() else layer,
            _cell(history, ".4g"),
            _cell([row[i] for row in metrics["goodness_positive"]], ".4g"),
            _cell([row[i] for row in metrics["goodness_negative"]], ".4g"),
            _percent([100 * row[i] for row in metrics["validation_accuracy"]]),
            sparkline(history, room),
        )
    return Group(head, progress, Text(", ".join(filter(None, facts)), style="dim"), table)


def _cell(values: list[float], form: str) -> str:
    return f"{values[-1]:{form}}" if values and values[-1] == values[-1] else "–"


def _percent(percent: list[float]) -> str:
    """The last measured value, because not every epoch is evaluated."""
    known = [value for value in percent if value == value]
    return f"{known[-1]:.2f} %" if known else "–"


def sparkline(values: list[float], width: int) -> str:
    """The values as a row of block characters, each the mean of an interval; a dot if nothing was measured in it."""
    if not values or width < 1:
        return ""
    parts = min(width, len(values))
    intervals = [values[len(values) * i // parts : len(values) * (i + 1) // parts] for i in range(parts)]
    means = [sum(known) / len(known) if (known := [v for v in s if v == v]) else float("nan") for s in intervals]
    known = [mean for mean in means if mean == mean]
    if not known:
        return "·" * parts
    low, high = min(known), max(known)
    # means of equal values differ in the last digit
    span = high - low if high - low > 1e-12 * max(abs(low), abs(high)) else math.inf
    return "".join("·" if m != m else BLOCKS[min(7, int(8 * (m - low) / span))] for m in means)


def _clock(seconds: float) -> str:
    if seconds != seconds:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
