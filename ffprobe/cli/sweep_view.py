"""Progress of a sweep: a live table on a terminal, one line per event in a log."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ffprobe.components.executor import JobEvent
from ffprobe.sweep.sweep import Progress, last_line, reason

if TYPE_CHECKING:
    from ffprobe.sweep.plan import PlannedRun

REFRESH = 1.0
"""Seconds between two updates of the live table."""
MAX_ROWS = 12
"""Maximum number of running jobs in the live table, so that it fits a terminal."""


class SweepView:
    """Shows the progress of a sweep on a console.

    Args:
        console: the console of stderr.
        planned: all runs of the plan.
    """

    def __init__(self, console: Console, planned: Sequence[PlannedRun]) -> None:
        self._console, self._began = console, time.monotonic()
        self._before = sum(run.status == "finished" for run in planned)
        self._total = len(planned)
        self._drawn = 0.0
        self._since: dict[str, float] = {}
        terminal = console.is_terminal and not console.is_dumb_terminal
        self._live = Live(console=console, auto_refresh=False, transient=True) if terminal else None

    def __enter__(self) -> SweepView:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def update(self, progress: Progress, event: JobEvent | None) -> None:
        """Show an event; None only updates the times."""
        if event:
            self._line(progress, event)
        now = time.monotonic()
        if self._live and (event or now - self._drawn > REFRESH):
            self._drawn = now
            self._live.update(self._table(progress), refresh=True)

    def _line(self, progress: Progress, event: JobEvent) -> None:
        name, now = event.job.name, time.monotonic()
        if event.state == "running":
            self._since[name] = now
            text = f"{name}: started{f' on {event.where}' if event.where else ''}"
        elif event.state == "queued":
            text = f"{name}: queued{f' as {event.where}' if event.where else ''}"
        else:
            counts = progress.counts()
            done = self._before + counts["finished"]
            took = f" after {_clock(now - self._since[name])}" if name in self._since else ""
            text = f"{name}: {event.state}{took}; {done} of {self._total} finished"
            text += f", {counts['failed']} failed" if counts["failed"] else ""
            if event.state == "failed":
                text += f"; {event.why}: {reason(event.job.log)}"
        if not self._live:
            self._console.print(text, markup=False, soft_wrap=True)
        elif event.state in ("finished", "failed"):  # the table shows running jobs
            self._console.print(text, markup=False, style="red" if event.state == "failed" else "")

    def _table(self, progress: Progress) -> Group:
        now, counts = time.monotonic(), progress.counts()
        table = Table(box=None, pad_edge=False, expand=True)
        table.add_column("run", no_wrap=True, ratio=1, overflow="ellipsis")
        table.add_column("time", justify="right", no_wrap=True)
        table.add_column("latest", no_wrap=True, ratio=1, overflow="ellipsis")
        running = progress.of("running")
        for event in running[:MAX_ROWS]:
            latest = Text(last_line(event.job.log))
            name = Text(event.job.name + (f" ({event.where})" if event.where else ""))
            table.add_row(name, _clock(now - self._since.get(event.job.name, now)), latest)
        if len(running) > MAX_ROWS:
            table.add_row(f"and {len(running) - MAX_ROWS} more", "", "")
        done = self._before + counts["finished"]
        parts = [f"{done} of {self._total} finished", f"{counts['running']} running", f"{counts['queued']} queued"]
        parts += [f"{counts['failed']} failed"] if counts["failed"] else []
        spent = now - self._began
        ended = counts["finished"] + counts["failed"]
        left = spent / ended * (len(progress.jobs) - ended) if ended else None
        parts += [f"{_clock(spent)} elapsed", f"about {_clock(left)} left"] if left else [f"{_clock(spent)} elapsed"]
        return Group(table, Text(", ".join(parts), style="bold"))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
