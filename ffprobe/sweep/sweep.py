"""Runs the jobs of a plan and keeps track of their states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ffprobe.components.executor import Executor, Job, JobEvent, JobState, ResourceLimits

TAIL = 4096
"""Number of bytes at the end of a log that are searched for its last line."""


@dataclass
class Progress:
    """The states of the jobs of a sweep.

    Attributes:
        jobs: all jobs, in order.
        events: the latest event of each job that has had one, by job name.
        given_up: names of the jobs that were asked to stop.
    """

    jobs: Sequence[Job]
    events: dict[str, JobEvent] = field(default_factory=dict)
    given_up: set[str] = field(default_factory=set)

    def update(self, event: JobEvent) -> JobEvent:
        """Store an event. A job that is reported as finished but left no run file counts as failed."""
        if event.state == "finished" and not event.job.out.exists():
            event = JobEvent(event.job, "failed", event.where, "ended without a run file")
        if event.state == "failed" and event.job.name in self.given_up:
            # a run that finished before the request reached it has a result
            event = JobEvent(event.job, "finished" if event.job.out.exists() else "stopped", event.where)
        self.events[event.job.name] = event
        return event

    def of(self, *states: JobState) -> list[JobEvent]:
        """The latest events whose state is one of these."""
        return [event for event in self.events.values() if event.state in states]

    def counts(self) -> Counter[str]:
        """The number of jobs in each state; a job without an event is ``queued``."""
        return Counter(self.events[job.name].state if job.name in self.events else "queued" for job in self.jobs)


def sweep(
    jobs: Sequence[Job],
    executor: Executor,
    limits: ResourceLimits,
    on_event: Callable[[Progress, JobEvent | None], None],
) -> Progress:
    """Run jobs with an executor.

    Args:
        jobs: from ``left_to_do``.
        executor: starts and stops the runs.
        limits: the resources that may be used at a time.
        on_event: called with the progress and every event, and with None at least every few seconds in between.

    Returns:
        The final states of the jobs.

    Raises:
        KeyboardInterrupt: on an interruption, after the executor has stopped the runs in progress.
    """
    progress = Progress(jobs)
    if not jobs:
        return progress
    with closing(executor.run_jobs(jobs, limits)) as events:
        for event in events:
            on_event(progress, progress.update(event) if event else None)
    return progress


def last_line(log: Path) -> str:
    """The last line of a log that is not empty; an empty string if there is none."""
    return next((line.strip() for line in reversed(tail(log).splitlines()) if line.strip()), "")


def reason(log: Path) -> str:
    """Why a run failed, in one line: its log from the last ``error:`` on, or else the last line."""
    text = tail(log)
    return " ".join(text[text.rindex("error:") :].split()) if "error:" in text else last_line(log)


def tail(log: Path) -> str:
    """The end of a log; empty if it cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
