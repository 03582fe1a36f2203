"""Working off the runs of a plan: what is told while they go on, and what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ffprobe.components.executor import Executor, Job, JobEvent, JobState, ResourceLimits

TAIL = 4096
"""Bytes at the end of a log in which its last line is looked for."""


@dataclass
class Progress:
    """Where the jobs of a sweep stand.

    Attributes:
        jobs: all that are to be done, in order.
        events: the last event of each job that has had one, by name.
    """

    jobs: Sequence[Job]
    events: dict[str, JobEvent] = field(default_factory=dict)

    def take(self, event: JobEvent) -> JobEvent:
        """Take an event in; what counts in the end is the file: a job that left none has failed, whatever it said."""
        if event.state == "finished" and not event.job.out.exists():
            event = JobEvent(event.job, "failed", event.where, "ended without a run file")
        self.events[event.job.name] = event
        return event

    def of(self, *states: JobState) -> list[JobEvent]:
        """The last events that are of these states."""
        return [event for event in self.events.values() if event.state in states]

    def counts(self) -> Counter[str]:
        """How many jobs are in each state; ``queued`` where nothing was heard yet."""
        return Counter(self.events[job.name].state if job.name in self.events else "queued" for job in self.jobs)


def sweep(
    jobs: Sequence[Job], executor: Executor, share: ResourceLimits, tell: Callable[[Progress, JobEvent | None], None]
) -> Progress:
    """Have an executor work the jobs off.

    Args:
        jobs: from ``left_to_do``.
        executor: where.
        share: how much at a time.
        tell: called with every event, and with None between them at least every few seconds.

    Returns:
        What became of each.

    Raises:
        KeyboardInterrupt: after the executor has stopped what was still running.
    """
    progress = Progress(jobs)
    if not jobs:
        return progress
    with closing(executor.work(jobs, share)) as events:  # type: ignore[type-var]
        for event in events:
            tell(progress, progress.take(event) if event else None)
    return progress


def last_line(log: Path) -> str:
    """The last line of a log with anything in it; empty where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def reason(log: Path) -> str:
    """Why a run failed, as far as its log knows: from the last ``error:`` on, in one line."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return " ".join(text[text.rindex("error:") :].split()) if "error:" in text else last_line(log)
