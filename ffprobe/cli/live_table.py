"""The state of a run as a table of its layers, for a terminal, and as one line for a log."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffprobe.analysis.result.sparkline import sparkline
from ffprobe.cli.console import finite

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

METRICS = (
    *("loss", "goodness_positive", "goodness_negative", "validation_accuracy", "model_validation_accuracy"),
    *("images_per_second", "learning_rate"),
)
NARROW = 60
"""Columns of a terminal below which the table shows no decimals that can be spared."""


@dataclass(frozen=True)
class RunState:
    """What is known about a run at one time.

    Attributes:
        path: the run file.
        complete: whether the run is finished.
        planned: the total number of epochs; 0 if unknown.
        title: the title of the run.
        layers: the names of the layers.
        epochs: the numbers of the epochs that are done, from 1.
        metrics: metrics by name, one entry per epoch: a list with one number per layer, or a number.
        part: the part of the epoch in progress that is done, in [0, 1].
        left: seconds to the end, if the caller knows better than from whole epochs.
    """

    path: Path
    complete: bool
    planned: int
    title: str
    layers: list[str]
    epochs: list[int]
    metrics: dict[str, list[Any]] = field(repr=False)
    part: float = 0.0
    left: float | None = None

    @property
    def done(self) -> int:
        """The number of the last finished epoch; 0 before the first."""
        return self.epochs[-1] if self.epochs else 0

    def values(self, row: int) -> dict[str, Any]:
        """One epoch as plain values: accuracies as fractions, None for a metric that was not measured."""
        metrics = {name: self.metrics[name][row] for name in METRICS}
        times = {"seconds": self.metrics["wall_time"][row], "seconds_left": self.seconds_left(row)}
        return finite({"event": "epoch", "epoch": self.epochs[row], "epochs_planned": self.planned, **metrics, **times})

    def seconds_left(self, row: int = -1) -> float:
        """The estimated time to the end of the run, from the last epochs up to ``row``; NaN before the first epoch."""
        if self.left is not None:
            return self.left
        if not self.epochs:
            return math.nan
        row = row % len(self.epochs)
        first = max(0, row - 10)
        times, spans = self.metrics["wall_time"], row - first
        pace = (times[row] - times[first]) / spans if spans else times[row] / self.epochs[row]
        return pace * max(0, self.planned - self.epochs[row])


def log_line(state: RunState, row: int = -1) -> str:
    """One epoch as one labelled line: loss and accuracy by layer, the accuracy of the model, speed and time left."""
    values = state.values(row)
    parts = [f"epoch {values['epoch']}/{values['epochs_planned']}: loss by layer {_numbers(values['loss'], 3)}"]
    if any(value is not None for value in values["validation_accuracy"]):
        parts.append(f"validation accuracy by layer {_numbers(values['validation_accuracy'], 1, 100)} %")
    if values["model_validation_accuracy"] is not None:
        parts.append(f"model {100 * values['model_validation_accuracy']:.1f} %")
    if values["images_per_second"] is not None:
        parts.append(f"{values['images_per_second']:,.0f} images/s")
    if values["seconds_left"]:
        parts.append(f"{clock(values['seconds_left'])} left")
    return ", ".join(parts)


@dataclass(frozen=True)
class LoggedEpoch:
    """What a line of ``log_line`` says: epochs done and planned, accuracy of the model in percent, seconds left."""

    epoch: int
    planned: int
    accuracy: float | None
    left: float | None


def read_log_line(line: str) -> LoggedEpoch | None:
    """Read a line that ``log_line`` wrote, of a run whose log is all that is known; None for any other line."""
    if not (epoch := re.match(r"epoch (\d+)/(\d+): loss ", line)):
        return None
    accuracy, left = re.search(r", model (\d+\.\d) %", line), re.search(r", (\d+):(\d\d):(\d\d) left$", line)
    hours, minutes, seconds = map(int, left.groups()) if left else (0, 0, 0)
    done, planned = int(epoch[1]), int(epoch[2])
    return LoggedEpoch(
        *(done, planned, float(accuracy[1]) if accuracy else None),
        3600.0 * hours + 60 * minutes + seconds if left or done == planned else None,
    )


def live_table(state: RunState, width: int, height: int = 0) -> Group:
    """The state of a run as a rich renderable: progress, speed, time left, and a row per layer.

    Args:
        state: the state of the run.
        width: the width of the terminal in columns.
        height: the height of the terminal in rows; layers in the middle are left out if there are more. 0: no limit.
    """
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    metrics = state.metrics
    head = Text(f"{state.path}", style="bold", no_wrap=True, overflow="ellipsis")
    done = min(state.done + state.part, state.planned or math.inf)
    bar = ProgressBar(total=max(state.planned, 1), completed=done, width=max(10, min(60, width - 30)))
    progress = Table.grid(padding=(0, 1))
    progress.add_row(f"epoch {state.done}/{state.planned}", bar)
    facts = [state.title]
    if state.epochs:
        facts.append(f"{metrics['images_per_second'][-1]:,.0f} images/s")
        facts.append(f"{clock(metrics['wall_time'][-1])} elapsed")
    left = state.seconds_left()
    if state.complete:
        facts.append("finished")
    elif left == left:
        facts.append(f"about {clock(left)} left")
    elif not state.epochs:
        facts.append("no epoch is committed yet")
    parts: list[RenderableType] = [head, progress, Text(", ".join(filter(None, facts)), style="dim")]
    if state.epochs:
        parts.append(_layers(state, width, height - len(parts) - 4 if height else 0))
    return Group(*parts)


def _layers(state: RunState, width: int, room: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    metrics = state.metrics
    gaps = [
        [p - n for p, n in zip(positive, negative, strict=True)]
        for positive, negative in zip(metrics["goodness_positive"], metrics["goodness_negative"], strict=True)
    ]
    has_gap = any(value == value for value in gaps[-1])
    table = Table(box=None, pad_edge=False, padding=(0, 2 if width >= NARROW else 1, 0, 0))
    table.add_column("layer")
    table.add_column("loss", justify="right")
    if has_gap:
        table.add_column("goodness gap" if width >= NARROW else "gap", justify="right")
    table.add_column("accuracy", justify="right")
    spark = max(0, min(40, width - (46 if has_gap else 32)))
    if spark >= 16:
        table.add_column("loss over epochs")
    for i in _shown(len(state.layers), room):
        if i is None:
            table.add_row("…")
            continue
        history = [row[i] for row in metrics["loss"]]
        cells = [
            str(int(name) + 1) if (name := state.layers[i]).isdigit() else name,
            _cell(history, ".4g"),
            *([_cell([row[i] for row in gaps], ".4g")] if has_gap else []),
            _percent([100 * row[i] for row in metrics["validation_accuracy"]]),
            *([sparkline(history, spark)] if spark >= 16 else []),
        ]
        table.add_row(*(Text(cell) for cell in cells))
    model = _percent([100 * value for value in metrics["model_validation_accuracy"]])
    if model != "–":
        table.add_row(*(Text(cell, "bold") for cell in ("model", "", *([""] if has_gap else []), model)))
    return table


def _shown(depth: int, room: int) -> list[int | None]:
    """The layers that fit, first and last; None stands for those that are left out."""
    if not room or depth <= max(room, 3):
        return list(range(depth))
    first = max(1, (room - 1) // 2)
    return [*range(first), None, *range(depth - max(1, room - 1 - first), depth)]


def _numbers(values: list[float | None], digits: int, scale: float = 1) -> str:
    return " ".join("–" if value is None else f"{scale * value:.{digits}f}" for value in values)


def _cell(values: list[float], form: str) -> str:
    return f"{values[-1]:{form}}" if values and values[-1] == values[-1] else "–"


def _percent(percent: list[float]) -> str:
    """The last measured value, because not every epoch is evaluated."""
    known = [value for value in percent if value == value]
    return f"{known[-1]:.2f} %" if known else "–"


def clock(seconds: float) -> str:
    """A duration as ``1:02:03``; ``?`` if it is not known."""
    if seconds != seconds:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
