"""A sweep with a fake executor."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

import ffprobe
from ffprobe.components.executor import Job, JobEvent, ResourceLimits
from ffprobe.sweep.sweep import Progress, last_line, reason, sweep


def job(tmp_path: Path, name: str) -> Job:
    return Job(name, ("run",), tmp_path / f"{name}.h5", tmp_path / f"{name}.log", tmp_path)


class Pretends(ffprobe.Executor):
    """Reports the state that is the name of the job."""

    name = "pretends"
    closed = False

    def run_jobs(self, jobs: Sequence[Job], limits: ResourceLimits) -> Generator[JobEvent | None, None, None]:
        try:
            for one in jobs:
                yield JobEvent(one, "running")
                yield None
                if one.name == "finished":
                    one.out.touch()
                yield JobEvent(one, "failed" if one.name == "failed" else "finished")
        finally:
            Pretends.closed = True


def test_a_job_without_a_run_file_has_failed_whatever_was_reported(tmp_path: Path) -> None:
    events: list[JobEvent | None] = []
    jobs = [job(tmp_path, name) for name in ("finished", "failed", "no-file")]
    progress = sweep(jobs, Pretends(), ResourceLimits(), lambda _, event: events.append(event))
    assert {name: event.state for name, event in progress.events.items()} == {
        "finished": "finished",
        "failed": "failed",
        "no-file": "failed",
    }
    assert progress.events["no-file"].why == "ended without a run file"
    assert [event.state if event else None for event in events] == ["running", None, "finished"] + [
        "running",
        None,
        "failed",
    ] * 2


def test_an_interruption_closes_the_executor(tmp_path: Path) -> None:
    def tell(progress: Progress, event: JobEvent | None) -> None:
        raise KeyboardInterrupt

    Pretends.closed = False
    with pytest.raises(KeyboardInterrupt):
        sweep([job(tmp_path, "a")], Pretends(), ResourceLimits(), tell)
    assert Pretends.closed


def test_without_jobs_the_executor_is_not_called() -> None:
    assert sweep([], Pretends(), ResourceLimits(), lambda _, __: None).counts() == {}


def test_jobs_without_an_event_count_as_queued(tmp_path: Path) -> None:
    progress = Progress([job(tmp_path, name) for name in "abc"])
    progress.update(JobEvent(progress.jobs[1], "running"))
    assert progress.counts() == {"queued": 2, "running": 1}
    assert [event.job.name for event in progress.of("running", "failed")] == ["b"]


def test_the_last_line_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    assert (last_line(log), reason(log)) == ("", "")
    log.write_text("x" * 10_000 + "\nepoch 1/2: loss 3\n\n")
    assert last_line(log) == "epoch 1/2: loss 3" == reason(log)
    log.write_text("error: once\nepoch 1/2\nerror: There is no\n  such thing.\n")
    assert reason(log) == "error: There is no such thing."
