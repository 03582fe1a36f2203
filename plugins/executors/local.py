"""Runs of a sweep as processes of this machine, with its cores and GPUs shared out."""

import os
import signal
import subprocess
import sys
import time
from collections import deque

from pydantic import Field

import ffprobe

TICK = 0.2
"""Seconds between two looks at the processes."""


class Local(ffprobe.Executor):
    """Processes on this machine: as many at a time as jobs are allowed, or as its GPUs take.

    Each process has its share of the cores (``OMP_NUM_THREADS``) and one GPU (``CUDA_VISIBLE_DEVICES``) where some are
    named. A crash takes one run with it and nothing else. Processes are started in a session of their own, so that a
    Ctrl-C reaches them once, through the sweep, which lets each stop after its batch.
    """

    name = "local"

    class Params(ffprobe.Params):
        """How much patience."""

        grace: float = Field(60.0, ge=0, description="seconds a run may take to stop before it is killed")

    def work(self, jobs, share):
        slots = deque(_slots(share))
        threads = max(1, (os.cpu_count() or 1) // len(slots))
        waiting, living = deque(jobs), {}
        try:
            while waiting or living:
                while waiting and slots:
                    job, gpu = waiting.popleft(), slots.popleft()
                    living[_start(job, gpu, threads)] = (job, gpu)
                    yield ffprobe.JobEvent(job, "running", f"GPU {gpu}" if gpu else "")
                for process in [p for p in living if p.poll() is not None]:
                    job, gpu = living.pop(process)
                    slots.append(gpu)
                    yield _ended(job, process.returncode)
                yield None
                time.sleep(TICK)
        finally:
            _stop(list(living), self.params.grace)


def _slots(share):
    """A GPU's number, or an empty text, for each place that a run can have."""
    places = [gpu for _ in range(share.jobs_per_gpu) for gpu in share.gpus] or [""] * max(1, share.jobs)
    return places[: share.jobs] if share.jobs else places


def _start(job, gpu, threads):
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    if gpu:
        environment["CUDA_VISIBLE_DEVICES"] = gpu
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "ffprobe", *job.command],
            **{"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "env": environment, "cwd": job.folder},
            start_new_session=True,
        )


def _ended(job, code):
    if code == 0:
        return ffprobe.JobEvent(job, "finished")
    why = f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return ffprobe.JobEvent(job, "failed", why=why)


def _stop(processes, grace):
    """Ask each to stop after its batch; kill what does not."""
    for process in processes:
        process.send_signal(signal.SIGINT)
    until = time.monotonic() + grace
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@ffprobe.hookimpl
def ffprobe_components():
    return [Local]
