"""Runs the jobs of a sweep as processes on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Generator, Sequence

from pydantic import Field

import ffprobe

TICK = 0.2
"""Seconds between two checks of the processes."""


class Local(ffprobe.Executor):
    """Runs each job as a process on this machine and divides the CPU cores and GPUs among the concurrent jobs.

    The number of concurrent jobs is ``--jobs``, limited by the available GPU slots. Each process gets an equal part of
    the cores (``OMP_NUM_THREADS``) and one GPU (``CUDA_VISIBLE_DEVICES``) if GPUs are named. With ``processes``,
    torchrun starts so many for each job, and each gets its part of the job's cores and a GPU of its own. A crash ends
    one run and affects no other. Each process starts in a session of its own, so that Ctrl-C does not reach it twice:
    the sweep receives the signal and lets each run stop after its batch.
    """

    name = "local"

    class Params(ffprobe.Params):
        """Processes of a run, and how long to wait for one to stop."""

        processes: int = Field(
            1, ge=1, description="number of processes that train each run together (parallel=batch or layers)"
        )
        grace: float = Field(60.0, ge=0, description="time that a run may take to stop before it is killed, in seconds")

    def __init__(self, params: ffprobe.Params | None = None) -> None:
        super().__init__(params)
        self._running: dict[subprocess.Popen[bytes], tuple[ffprobe.Job, str]] = {}

    def run_jobs(
        self, jobs: Sequence[ffprobe.Job], limits: ffprobe.ResourceLimits
    ) -> Generator[ffprobe.JobEvent | None, None, None]:
        processes = self.params.processes
        slots = deque(_slots(limits, processes))
        threads = max(1, (os.cpu_count() or 1) // (len(slots) * processes))
        waiting = deque(jobs)
        running = self._running = {}
        try:
            while waiting or running:
                while waiting and slots:
                    job, gpu = waiting.popleft(), slots.popleft()
                    try:
                        running[_start(job, gpu, threads, processes)] = (job, gpu)
                    except OSError as error:  # no log, no process: this run fails, and no other
                        slots.append(gpu)
                        yield ffprobe.JobEvent(job, "failed", why=f"could not be started: {error.strerror}")
                        continue
                    yield ffprobe.JobEvent(job, "running", f"GPU {gpu}" if gpu else "")
                for process in [p for p in running if p.poll() is not None]:
                    job, gpu = running.pop(process)
                    slots.append(gpu)
                    yield _end_event(job, process.returncode)
                yield None
                time.sleep(TICK)
        finally:
            _stop(list(running), self.params.grace)

    def stop(self, job: ffprobe.Job) -> bool:
        """Send SIGINT to the process of a job, which then ends after its batch."""
        for process, (other, _) in self._running.items():
            if other is job:
                process.send_signal(signal.SIGINT)
                return True
        return False


def _slots(limits: ffprobe.ResourceLimits, processes: int) -> list[str]:
    """One entry for each concurrent job: the IDs of its GPUs, or an empty string without GPUs."""
    if limits.gpus and len(limits.gpus) < processes:
        raise ffprobe.UsageError(
            f"Each run has {processes} processes, but --gpus names {len(limits.gpus)}.",
            hint="Name a GPU for each process, or leave out --gpus.",
        )
    starts = range(0, len(limits.gpus) - processes + 1, processes) if limits.gpus else range(0)
    parts = [",".join(limits.gpus[start : start + processes]) for start in starts]
    gpus = [part for _ in range(limits.jobs_per_gpu) for part in parts]
    slots = gpus or [""] * max(1, limits.jobs)
    return slots[: limits.jobs] if limits.jobs else slots


def _start(job: ffprobe.Job, gpu: str, threads: int, processes: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    if gpu:
        environment["CUDA_VISIBLE_DEVICES"] = gpu
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("ab") as log:
        return subprocess.Popen(
            job.argv(processes),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd=job.folder,
            start_new_session=True,
        )


def _end_event(job: ffprobe.Job, code: int) -> ffprobe.JobEvent:
    if code == 0:
        return ffprobe.JobEvent(job, "finished")
    why = f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return ffprobe.JobEvent(job, "failed", why=why)


def _stop(processes: list[subprocess.Popen[bytes]], grace: float) -> None:
    """Ask each process to stop after its batch, and kill those that do not stop within ``grace`` seconds."""
    try:
        for process in processes:
            process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + grace
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
    finally:  # also when another Ctrl-C ends the wait: no run goes on alone
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Local]
