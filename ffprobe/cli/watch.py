"""``ffprobe show RUN --watch``: follows a run that another process is writing."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffprobe.cli.console import finite, stderr, stdout
from ffprobe.errors import FileError

if TYPE_CHECKING:
    from rich.console import Group

    from ffprobe.store.reader import RunFile

SECONDS = 1.0
"""Between two looks at the file."""
START = 30.0
"""Seconds to wait for a file that is not there yet: a run that was just started loads for a while before it has one."""
PATIENCE = 10
"""How many looks in a row may fail before it is told: a writer can be in the middle of anything."""
TOLD = (
    *("loss", "goodness_positive", "goodness_negative", "validation_accuracy", "model_validation_accuracy"),
    *("images_per_second", "learning_rate"),
)
BLOCKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Look:
    """What the file says at one moment.

    Attributes:
        path: that was opened.
        complete: whether the run has finished.
        planned: epochs in all; 0 where the config does not say it.
        title: of the run.
        layers: names.
        epochs: number of each committed epoch.
        metrics: per-epoch numbers by name: ``[epochs][layers]`` lists, or ``[epochs]``.
    """

    path: Path
    complete: bool
    planned: int
    title: str
    layers: list[str]
    epochs: list[int]
    metrics: dict[str, list[Any]] = field(repr=False)

    def line(self, row: int) -> dict[str, Any]:
        """One epoch as plain values; accuracies as fractions, None for what was not measured."""
        more = {name: self.metrics[name][row] for name in TOLD}
        times = {"seconds": self.metrics["wall_time"][row], "seconds_left": self.seconds_left(row)}
        return finite({"event": "epoch", "epoch": self.epochs[row], "epochs_planned": self.planned, **more, **times})

    def seconds_left(self, row: int = -1) -> float:
        """By the pace of the last epochs; NaN before the first."""
        if not self.epochs:
            return float("nan")
        row = row % len(self.epochs)
        first = max(0, row - 10)
        times = self.metrics["wall_time"]
        spans = row - first
        pace = (times[row] - times[first]) / spans if spans else times[row]
        return pace * max(0, self.planned - self.epochs[row])


def look(path: Path) -> Look:
    """Open the file, read what is committed, and close it; a reader's view never moves, so it must be opened anew."""
    from ffprobe.store.reader import open_run

    with open_run(path) as run:
        epochs = run.read("metrics/epoch").tolist()
        metrics = {name: _read(run, name, len(epochs)) for name in (*TOLD, "wall_time")}
        layers = [str(name) for name in run.read("metrics/layer")]
        planned = (run.config.get("training") or {}).get("epochs")
        title = str(run.attributes.get("title", ""))
        return Look(path, run.complete, planned if isinstance(planned, int) else 0, title, layers, epochs, metrics)


def _read(run: RunFile, name: str, count: int) -> list[Any]:
    path = f"metrics/{name}"
    return run.read(path).tolist() if run.has(path) else [float("nan")] * count


def follow(out: Path) -> Iterator[Look]:
    """Looks at the run until it has finished; the last one is complete.

    Args:
        out: ``run.h5``, or its ``.partial``.

    Raises:
        FileError: there is no such run; its writer died or stopped; the file vanished, or stays unreadable.
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
        held = partial.exists() and is_held(partial)  # asked before the look, so that the look has its last commit
        waiting = partial.exists()
        try:
            latest = look(partial if waiting else final)
            failures = 0
        except FileError:
            failures += 1
            if failures >= PATIENCE or not (held or waiting or final.exists()):
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
    done = f"{len(latest.epochs)} of {latest.planned} epochs are in the file"
    return FileError(
        f"The run stopped before its end: no process writes it any more; {done}.",
        where=str(partial),
        hint=f"`ffprobe run --resume --out {final}` goes on with it.",
    )


def watch(out: Path, as_json: bool) -> None:
    """Follow a run on the terminal (a table that renews itself), in a log (a line per epoch) or as JSON lines.

    Raises:
        FileError: as ``follow``.
    """
    console = stdout()
    if as_json or not console.is_terminal or console.is_dumb_terminal:
        _lines(out, as_json)
        return
    from rich.live import Live

    with Live(console=console, auto_refresh=False, transient=False) as live:
        for one in follow(out):
            live.update(screen(one, console.width), refresh=True)
    console.print(f"{one.path} is finished.", markup=False)


def _lines(out: Path, as_json: bool) -> None:
    told = 0
    for one in follow(out):
        for row in range(told, len(one.epochs)):
            line = one.line(row)
            _say(json.dumps(line, ensure_ascii=False) if as_json else _text(line))
        told = len(one.epochs)
    end = {"event": "finished", "path": str(one.path), "epoch": one.epochs[-1] if one.epochs else 0}
    _say(json.dumps(end) if as_json else f"{one.path} is finished.")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()  # whoever reads a pipe waits for it


def _text(line: dict[str, Any]) -> str:
    text = f"epoch {line['epoch']}/{line['epochs_planned']}: loss {_numbers(line['loss'], 3)}"
    if any(value is not None for value in line["validation_accuracy"]):
        text += f"  validation % {_numbers(line['validation_accuracy'], 1, 100)}"
    return text


def _numbers(values: list[float | None], digits: int, scale: float = 1) -> str:
    return " ".join("–" if value is None else f"{scale * value:.{digits}f}" for value in values)


def screen(one: Look, width: int) -> Group:
    """The state of a run as something that rich prints.

    Args:
        one: the latest look.
        width: of the terminal.
    """
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    done, metrics = len(one.epochs), one.metrics
    head = Text(f"{one.path}", style="bold", no_wrap=True, overflow="ellipsis")
    bar = ProgressBar(total=max(one.planned, 1), completed=done, width=max(10, min(60, width - 30)))
    progress = Table.grid(padding=(0, 1))
    progress.add_row(f"epoch {done}/{one.planned}", bar)
    facts = [one.title]
    if done:
        facts.append(f"{metrics['images_per_second'][-1]:,.0f} images/s")
        facts.append(f"{_clock(metrics['wall_time'][-1])} so far")
        facts.append("finished" if one.complete else f"about {_clock(one.seconds_left())} left")
    else:
        facts.append("no epoch is committed yet")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("layer")
    for name in ("loss", "positive", "negative", "validation"):
        table.add_column(name, justify="right")
    room = max(0, min(40, width - 58))
    table.add_column("loss over epochs" if room >= 16 else "")
    for i, layer in enumerate(one.layers):
        history = [row[i] for row in metrics["loss"]] if done else []
        table.add_row(
            str(int(layer) + 1) if layer.isdigit() else layer,
            _cell(history, ".4g"),
            _cell([row[i] for row in metrics["goodness_positive"]], ".4g"),
            _cell([row[i] for row in metrics["goodness_negative"]], ".4g"),
            _measured([100 * row[i] for row in metrics["validation_accuracy"]]),
            sparkline(history, room),
        )
    return Group(head, progress, Text(", ".join(filter(None, facts)), style="dim"), table)


def _cell(values: list[float], form: str) -> str:
    return f"{values[-1]:{form}}" if values and values[-1] == values[-1] else "–"


def _measured(percent: list[float]) -> str:
    """The last measured value: not every epoch is evaluated."""
    known = [value for value in percent if value == value]
    return f"{known[-1]:.2f} %" if known else "–"


def sparkline(values: list[float], width: int) -> str:
    """The values as a row of blocks, each the mean of a stretch; dots where nothing was measured."""
    if not values or width < 1:
        return ""
    parts = min(width, len(values))
    stretches = [values[len(values) * i // parts : len(values) * (i + 1) // parts] for i in range(parts)]
    means = [sum(own) / len(own) if (own := [v for v in s if v == v]) else float("nan") for s in stretches]
    known = [mean for mean in means if mean == mean]
    if not known:
        return "·" * parts
    low, span = min(known), (max(known) - min(known)) or 1.0
    return "".join("·" if m != m else BLOCKS[min(7, int(8 * (m - low) / span))] for m in means)


def _clock(seconds: float) -> str:
    if seconds != seconds:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
