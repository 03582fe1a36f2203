"""What an executor must obey: it starts the runs of a sweep somewhere."""

from __future__ import annotations

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
    """The checks of an executor, with jobs that end at once; skipped where it refuses to start any (no cluster)."""

    kind = "executor"

    def job(self, name: str, *words: str) -> Job:
        """A job in this contract's own folder."""
        return Job(name, words, self.scratch / f"{name}.h5", self.scratch / "logs" / f"{name}.log", self.scratch)

    def events(self, *jobs: Job, share: ResourceLimits = ResourceLimits(jobs=1)) -> list[JobEvent]:  # noqa: B008  (frozen)
        """All that is heard until the end."""
        try:
            with closing(self.subject.build().work(list(jobs), share)) as answers:
                return [event for event in answers if event is not None]
        except UsageError as refusal:
            raise Skip(refusal.what) from refusal

    @check("A sweep ends when every job has been told of, and a job told of twice would be counted twice.")
    def every_job_ends_once(self) -> None:
        """Of three jobs, one of which cannot succeed, each is told finished or failed exactly once, as it was."""
        jobs = [self.job("a", *QUICK), self.job("wrong", *WRONG), self.job("b", *QUICK)]
        events = self.events(*jobs, share=ResourceLimits(jobs=2))
        ends = [(event.job.name, event.state) for event in events if event.state in ("finished", "failed")]
        wanted = [("a", "finished"), ("b", "finished"), ("wrong", "failed")]
        expect(sorted(ends) == wanted, f"the ends {wanted}", str(sorted(ends)))
        log = jobs[0].log.read_text() if jobs[0].log.exists() else ""
        expect("ffprobe" in log, "what the run printed in job.log", repr(log[:60]))
        why = jobs[1].log.read_text() if jobs[1].log.exists() else ""
        expect("there-is-none" in why, "the failed run's own words in job.log", repr(why[-60:]))

    @check("--jobs 1 is how a user keeps a machine for something else.")
    def no_more_at_a_time_than_its_share(self) -> None:
        """With a share of one job no second one is running before the first has ended."""
        living = 0
        for event in self.events(*(self.job(name, *QUICK) for name in "cde")):
            living += (event.state == "running") - (event.state in ("finished", "failed"))
            expect(living <= 1, "at most one running job", f"{living} after {event.job.name} {event.state}")

    @check("An interrupted sweep that leaves runs behind would write the same files twice when it is called again.")
    def closing_stops_what_runs(self) -> None:
        """When its generator is closed, a run under way has let go of its file."""
        job = self.job("endless", *ENDLESS, "--out", str(self.scratch / "endless.h5"))
        for _ in self._until_written(job):
            pass
        _expect_free(partial_of(job.out))

    def _until_written(self, job: Job) -> Any:
        from time import monotonic

        limit = monotonic() + 180
        try:
            with closing(self.subject.build().work([job], ResourceLimits(jobs=1))) as answers:
                for number, event in zip(count(), answers, strict=False):
                    yield number
                    ended = event is not None and event.state in ("finished", "failed")
                    expect(not ended, "a run that goes on", f"{event.state if event else ''}: {_tail(job.log)}")
                    if partial_of(job.out).exists():
                        return
                    expect(monotonic() < limit, "a run file within 180 s, and an answer meanwhile", "none")
        except UsageError as refusal:
            raise Skip(refusal.what) from refusal


def _expect_free(path: Path) -> None:
    from ffprobe.store.file_lock import is_held

    # a run that is stopped before its first commit takes its file away again
    expect(not path.exists() or not is_held(path), "a run file that nobody holds", "one that a process still writes")


def _tail(log: Path) -> str:
    return log.read_text()[-200:] if log.exists() else "no log"
