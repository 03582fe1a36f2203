"""The contract of an executor, which runs the jobs of a sweep."""

from __future__ import annotations

import time
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

from ffprobe.components.executor import Job, JobEvent, ResourceLimits
from ffprobe.errors import UsageError
from ffprobe.store.names import partial_of
from ffprobe.testing.contract import Skip, check, expect
from ffprobe.testing.contracts.component import ComponentContract

QUICK = ("--version",)
WRONG = ("run", "--preset", "there-is-none")
ENDLESS = (
    "run",
    "--set",
    "network=tiny",
    "--epochs",
    "1000000",
    "--set",
    "training.max_images=100",
    "--set",
    "probes=[]",
)


class ExecutorContract(ComponentContract):
    """The checks of an executor, with jobs that end quickly; skipped if it cannot start any (no cluster)."""

    kind = "executor"

    def job(self, name: str, *words: str) -> Job:
        """A job in this contract's folder."""
        return Job(name, words, self.scratch / f"{name}.h5", self.scratch / "logs" / f"{name}.log", self.scratch)

    def events(self, *jobs: Job, limits: ResourceLimits = ResourceLimits(jobs=1)) -> list[JobEvent]:  # noqa: B008  (frozen)
        """All events until the end."""
        try:
            with closing(self.subject.build().run_jobs(list(jobs), limits)) as events:
                return [event for event in events if event is not None]
        except UsageError as refusal:
            raise Skip(refusal.what) from refusal

    @check("A sweep ends when every job has ended; a job reported twice would be counted twice.")
    def every_job_ends_once(self) -> None:
        """Of three jobs, one of which fails, each is reported as finished or failed exactly once."""
        jobs = [self.job("a", *QUICK), self.job("wrong", *WRONG), self.job("b", *QUICK)]
        events = self.events(*jobs, limits=ResourceLimits(jobs=2))
        ends = [(event.job.name, event.state) for event in events if event.state in ("finished", "failed")]
        wanted = [("a", "finished"), ("b", "finished"), ("wrong", "failed")]
        expect(sorted(ends) == wanted, f"the ends {wanted}", str(sorted(ends)))
        log = jobs[0].log.read_text() if jobs[0].log.exists() else ""
        expect("ffprobe" in log, "the output of the run in job.log", repr(log[:60]))
        why = jobs[1].log.read_text() if jobs[1].log.exists() else ""
        expect("there-is-none" in why, "the error message of the failed run in job.log", repr(why[-60:]))

    @check("With --jobs 1 a user keeps resources of the machine free.")
    def respects_the_job_limit(self) -> None:
        """With a limit of one job the second does not start before the first has ended."""
        running = 0
        for event in self.events(*(self.job(name, *QUICK) for name in "cde")):
            running += (event.state == "running") - (event.state in ("finished", "failed"))
            expect(running <= 1, "at most one running job", f"{running} after {event.job.name} {event.state}")

    @check("If an interrupted sweep leaves runs running, a second sweep would write the same files.")
    def closing_stops_running_jobs(self) -> None:
        """When its generator is closed, running jobs have stopped and released their files."""
        job = self.job("endless", *ENDLESS, "--out", str(self.scratch / "endless.h5"))
        for _ in self._until_written(job):
            pass
        _expect_free(partial_of(job.out))

    def _until_written(self, job: Job) -> Any:
        from time import monotonic

        limit = monotonic() + 180
        try:
            with closing(self.subject.build().run_jobs([job], ResourceLimits(jobs=1))) as events:
                for number, event in zip(count(), events, strict=False):
                    yield number
                    ended = event is not None and event.state in ("finished", "failed")
                    expect(not ended, "a job that keeps running", f"{event.state if event else ''}: {_tail(job.log)}")
                    if partial_of(job.out).exists():
                        return
                    expect(monotonic() < limit, "a run file within 180 s", "none")
        except UsageError as refusal:
            raise Skip(refusal.what) from refusal


def _expect_free(path: Path) -> None:
    from ffprobe.store.file_lock import is_held

    # a process that was killed a moment ago may hold its lock a little longer
    end = time.monotonic() + 5
    while path.exists() and is_held(path) and time.monotonic() < end:
        time.sleep(0.1)
    # a run that is stopped before its first commit deletes its file
    expect(not path.exists() or not is_held(path), "a run file without a writer", "a file that a process still writes")


def _tail(log: Path) -> str:
    return log.read_text()[-200:] if log.exists() else "no log"
