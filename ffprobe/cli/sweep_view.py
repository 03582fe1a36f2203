"""Progress of a sweep: a live table on a terminal, one line per event in a log."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ffprobe.cli.live_table import NARROW, LoggedEpoch, clock, read_log_line
from ffprobe.components.executor import JobEvent
from ffprobe.sweep.sweep import Progress, reason, tail
from ffprobe.sweep.time_left import LiveRun, seconds_left

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
        total: the number of runs, if the plan does not have all of them yet.
    """

    def __init__(self, console: Console, planned: Sequence[PlannedRun], total: int | None = None) -> None:
        self._console, self._began = console, time.monotonic()
        self._before = sum(run.status == "finished" for run in planned)
        self._total = len(planned) if total is None else total
        self._drawn = 0.0
        self._since: dict[str, float] = {}
        self._took: list[float] = []
        self._seen: dict[str, tuple[str, float]] = {}
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

    def begin_round(self, before: int) -> None:
        """Begin another round of a search, after ``before`` runs have ended."""
        self._before = before

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
            took = f" after {clock(now - self._since[name])}" if name in self._since else ""
            if event.state == "finished" and name in self._since:
                self._took.append(now - self._since[name])
            logged = self._logged(event, now)
            accuracy = f", validation accuracy {logged.accuracy:.1f} %" if logged and logged.accuracy else ""
            accuracy = accuracy if event.state == "finished" else ""
            text = f"{name}: {event.state}{took}{accuracy}; {done} of {self._total} finished"
            if event.state == "stopped":
                text = f"{name}: given up{took}, because other trials were better after as many epochs"
            text += f", {counts['failed']} failed" if counts["failed"] else ""
            if event.state == "failed":
                text += f"; {event.why}: {reason(event.job.log)}"
        if not self._live:
            self._console.print(text, markup=False, soft_wrap=True)
        elif event.state in ("finished", "failed", "stopped"):  # the table shows running jobs
            self._console.print(text, markup=False, style="red" if event.state == "failed" else "")

    def _logged(self, event: JobEvent, now: float) -> LoggedEpoch | None:
        """The last epoch in the log of a run; its time left has passed since the line appeared."""
        lines = [line for line in tail(event.job.log).splitlines() if read_log_line(line)]
        if not lines:
            return None
        name, latest = event.job.name, read_log_line(lines[-1])
        if self._seen.get(name, ("", 0.0))[0] != lines[-1]:
            self._seen[name] = (lines[-1], now)
        if latest is None or latest.left is None:
            return latest
        return replace(latest, left=max(0.0, latest.left - (now - self._seen[name][1])))

    def _table(self, progress: Progress) -> Group:
        now, counts, width = time.monotonic(), progress.counts(), self._console.width
        running = progress.of("running")
        logged = [self._logged(event, now) for event in running]
        table = Table(box=None, pad_edge=False, expand=True)
        table.add_column("run", no_wrap=True, ratio=1, overflow="ellipsis")
        for title in ("epoch", "accuracy", "time", "left")[: 4 if width >= NARROW else 2]:
            table.add_column(title, justify="right", no_wrap=True)
        for event, latest in list(zip(running, logged, strict=True))[:MAX_ROWS]:
            name = event.job.name + (f" ({event.where})" if event.where else "")
            spent = clock(now - self._since.get(event.job.name, now))
            cells = ["–", "–", spent, "–"]
            if latest:
                accuracy = "–" if latest.accuracy is None else f"{latest.accuracy:.1f} %"
                left = "–" if latest.left is None else clock(latest.left)
                cells = [f"{latest.epoch}/{latest.planned}", accuracy, spent, left]
            table.add_row(Text(name), *(Text(cell) for cell in cells[: 4 if width >= NARROW else 2]))
        if len(running) > MAX_ROWS:
            table.add_row(f"and {len(running) - MAX_ROWS} more")
        done = self._before + counts["finished"] + counts["stopped"]
        queued = max(counts["queued"], self._total - done - counts["running"] - counts["failed"])
        parts = [f"{done} of {self._total} finished", f"{counts['running']} running", f"{queued} queued"]
        parts += [f"{counts['failed']} failed"] if counts["failed"] else []
        live = [
            LiveRun(now - self._since.get(event.job.name, now), latest.left if latest else None)
            for event, latest in zip(running, logged, strict=True)
        ]
        left_in_all = seconds_left(self._took, live, queued)
        parts += [f"{clock(now - self._began)} elapsed"]
        parts += [f"about {clock(left_in_all)} left"] if left_in_all is not None else []
        return Group(table, Text(", ".join(parts), style="bold"))
