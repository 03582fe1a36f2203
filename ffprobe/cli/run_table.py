"""The table of ``ffprobe ls``: one line per run, fitted to the width of the terminal."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group, RenderableType
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from ffprobe.analysis.runs.labels import joined_label
from ffprobe.analysis.runs.listing import STATES, ListedRun
from ffprobe.display import plain_text

GAP = 2
"""Columns between two cells."""
MAX_REASONS = 10
"""Maximum number of files whose reason is printed below the table."""
UNLIMITED = 1 << 16
"""Columns of a pipe; more than the longest path has."""
STYLES = {"running": "green", "interrupted": "yellow", "damaged": "red", "unreadable": "red"}


class _Column(NamedTuple):
    """A column of the table.

    Attributes:
        head: its header.
        rank: how important it is; a narrow terminal lacks the columns with the largest ranks.
        least: the smallest width to which it is cut; None: it is never cut.
        right: whether it is aligned to the right.
        cells: its text for each run.
    """

    head: str
    rank: int
    least: int | None
    right: bool
    cells: list[str]

    @property
    def full(self) -> int:
        return max(map(cell_len, [self.head, *self.cells]))

    @property
    def smallest(self) -> int:
        return self.full if self.least is None else min(self.least, self.full)


def run_table(runs: Sequence[ListedRun], folder: Path | None, width: int | None, sort: str = "") -> RenderableType:
    """The table, and below it the counts, what all runs share, and why files could not be read.

    Args:
        runs: one or more, in the order of the rows.
        folder: the directory that names are relative to; None: names are whole paths.
        width: columns of the terminal; None for output to a file or a pipe, which is not cut.
        sort: the order of the rows; its column is shown on every terminal.
    """
    shared = _shared(runs)
    columns = [column._replace(rank=1) if column.head == sort else column for column in _columns(runs, folder, shared)]
    shown = _fitted(columns, width)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), collapse_padding=True)
    for column, size in shown:
        table.add_column(column.head, justify="right" if column.right else "left", width=size, no_wrap=True)
    (_, name_width), *others = shown
    for row, run in enumerate(runs):
        cells = [Text(_cut(shown[0][0].cells[row], name_width)), *(Text(column.cells[row]) for column, _ in others)]
        cells[1].stylize(STYLES.get(run.state, ""))  # the state
        table.add_row(*cells)
    return Group(table, *(Text(line) for line in ("", *_below(runs, folder, shared))))


def print_runs(console: Console, runs: Sequence[ListedRun], folder: Path | None, sort: str = "") -> None:
    """Print the table on a console; whole lines in a pipe."""
    if console.is_terminal or os.environ.get("COLUMNS"):
        console.print(run_table(runs, folder, console.width, sort))
    else:
        console.width = UNLIMITED
        console.print(run_table(runs, folder, None, sort))


def _columns(runs: Sequence[ListedRun], folder: Path | None, shared: Sequence[str]) -> list[_Column]:
    def cells(text: Callable[[ListedRun], str]) -> list[str]:
        return [plain_text(text(run), one_line=True) for run in runs]

    several = len({run.seed for run in runs if run.readable}) > 1
    seeds = [_Column("seed", 7, None, True, cells(lambda run: "" if run.seed is None else str(run.seed)))]
    return [
        _Column("run", 0, 24, False, cells(lambda run: _name(run, folder))),
        _Column("state", 1, None, False, cells(lambda run: run.state)),
        _Column("plugins", 3, 16, False, cells(lambda run: _plugins(run, shared))),
        *(seeds if several else []),
        _Column("accuracy %", 2, None, True, cells(_accuracy)),
        _Column("epochs", 4, None, True, cells(_epochs)),
        _Column("age", 5, None, True, cells(lambda run: _age(run.age()))),
        _Column("size", 6, None, True, cells(lambda run: decimal(run.size))),
    ]


def _fitted(columns: Sequence[_Column], width: int | None) -> list[tuple[_Column, int]]:
    """The columns that fit, each with its width."""
    if width is None:
        return [(column, column.full) for column in columns]
    shown: list[_Column] = []
    for column in sorted(columns, key=lambda column: column.rank):
        if len(shown) > 1 and sum(c.smallest + GAP for c in (*shown, column)) - GAP > width:
            break
        shown.append(column)
    left = width + GAP - sum(column.smallest + GAP for column in shown)
    sizes = {}
    for column in shown:  # what is left goes to the name first, then to the plugins
        more = min(max(left, 0), column.full - column.smallest)
        sizes[column.head], left = column.smallest + more, left - more
    if left < 0:  # not even two columns fit
        sizes[shown[0].head] = max(1, sizes[shown[0].head] + left)
    return [(column, sizes[column.head]) for column in columns if column in shown]


def _cut(text: str, width: int) -> str:
    """A name, with an ellipsis in place of its middle if it is too long: its end often says how it differs."""
    if cell_len(text) <= width:
        return text
    head = set_cell_size(text, max(0, (width - 1) // 3)).rstrip()
    tail = text[-(width - 1 - cell_len(head)) :] if width > 1 else ""
    while cell_len(tail) > width - 1 - cell_len(head):  # characters of two columns
        tail = tail[1:]
    return f"{head}…{tail}"


def _shared(runs: Sequence[ListedRun]) -> list[str]:
    """The data set and the plugins that all runs have in common; empty for a single run."""
    known = [run for run in runs if run.readable]
    if len(known) < 2:
        return []
    dataset = [known[0].dataset] if len({run.dataset for run in known}) == 1 else []
    return dataset + [name for name in known[0].changes if all(name in run.changes for run in known)]


def _plugins(run: ListedRun, shared: Sequence[str]) -> str:
    if not run.readable:
        return ""
    label = joined_label(run.preset, [name for name in run.changes if name not in shared])
    return label if run.dataset in shared or not run.dataset else f"{run.dataset}, {label}"


def _name(run: ListedRun, folder: Path | None) -> str:
    return os.path.relpath(run.path, folder) if folder else str(run.path)


def _accuracy(run: ListedRun) -> str:
    if not run.readable:
        return ""
    part = "test" if run.part == "test" else "val."
    return f"{run.accuracy:.2f} {part}" if math.isfinite(run.accuracy) else "–"


def _epochs(run: ListedRun) -> str:
    if not run.readable:
        return ""
    return f"{run.epochs}" if run.planned is None else f"{run.epochs}/{run.planned}"


def _age(seconds: float) -> str:
    if not math.isfinite(seconds):
        return ""
    for unit, length in (("y", 730 * 86400), ("d", 48 * 3600), ("h", 7200), ("min", 120)):
        if seconds >= length:
            return f"{seconds / _SECONDS[unit]:.0f} {unit}"
    return f"{seconds:.0f} s"


_SECONDS = {"min": 60, "h": 3600, "d": 86400, "y": 365 * 86400}


def _below(runs: Sequence[ListedRun], folder: Path | None, shared: Sequence[str]) -> list[str]:
    counts = Counter(run.state for run in runs)
    states = ", ".join(f"{counts[state]} {state}" for state in reversed(STATES) if counts[state])
    lines = [f"{len(runs):,} run{'s' * (len(runs) != 1)}: {states}."]
    lines += [f"All runs: {', '.join(shared)}."] if shared else []
    bad = [run for run in runs if not run.readable]
    lines += [f"{_name(run, folder)}: {run.reason}" for run in bad[:MAX_REASONS]]
    lines += [f"… and {len(bad) - MAX_REASONS:,} more that cannot be read."] if len(bad) > MAX_REASONS else []
    return [plain_text(line, one_line=True) for line in lines]
