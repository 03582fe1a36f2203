"""Runs the jobs of a sweep as tasks of a Ray cluster."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Generator, Sequence
from typing import Any

from pydantic import Field

import ffprobe

TICK = 1.0
"""Seconds to wait for a task to end before yielding to the caller."""
QUIET: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}


class Ray(ffprobe.Executor):
    """Runs each job as a Ray task, on an existing cluster or on a local one that it starts.

    Each task starts a process with its CPU cores and GPUs; Ray sets ``CUDA_VISIBLE_DEVICES``. All nodes must see the
    same files under the same paths and have ffprobe installed in the same Python environment. Install Ray with
    ``pip install 'ffprobe-nn[ray]'``.
    """

    name = "ray"
    source = "Ray (arXiv:1712.05889)"

    class Params(ffprobe.Params):
        """The cluster, and the resources of each run."""

        address: str = Field(
            "", description="address of the Ray cluster (auto, ray://...); empty: start a local cluster on this machine"
        )
        processes: int = Field(1, ge=1, description="number of processes that train each run together, all on one node")
        cores: float = Field(1, gt=0, description="number of CPU cores that each run reserves")
        gpus: float = Field(
            0, ge=0, description="number of GPUs that each run reserves; 0.5 places two runs on one GPU"
        )

    def run_jobs(
        self, jobs: Sequence[ffprobe.Job], limits: ffprobe.ResourceLimits
    ) -> Generator[ffprobe.JobEvent | None, None, None]:
        if limits.gpus:
            raise ffprobe.UsageError(
                "--gpus selects GPUs of this machine; it does not work with the executor 'ray'.",
                hint="Use --executor ray:gpus=1; Ray assigns the GPUs itself.",
            )
        ray = _library()
        owned = not ray.is_initialized()
        if owned:
            ray.init(address=self.params.address or "local", **QUIET)
        # Ray must not restart a run that fails: the sweep reports the failure, and its caller decides
        start = ray.remote(num_cpus=self.params.cores, num_gpus=self.params.gpus, max_retries=0)(_start)
        waiting = list(jobs)
        running: dict[Any, ffprobe.Job] = {}
        try:
            while waiting or running:
                while waiting and (not limits.jobs or len(running) < limits.jobs):
                    job = waiting.pop(0)
                    processes = self.params.processes
                    threads = max(1, int(self.params.cores / processes))
                    task = start.remote(job.argv(processes), str(job.log), str(job.folder), threads)
                    running[task] = job
                    yield ffprobe.JobEvent(job, "running", "Ray")
                done, _ = ray.wait(list(running), num_returns=1, timeout=TICK)
                for task in done:
                    yield _end_event(ray, task, running.pop(task))
                yield None
        finally:
            for task in running:
                ray.cancel(task, force=False)
            if running:
                ray.wait(list(running), num_returns=len(running), timeout=60)
            if owned:
                ray.shutdown()


def _library() -> Any:
    try:
        import ray  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        hint = "Install it with: pip install 'ffprobe-nn[ray]'"
        raise ffprobe.UsageError(
            "The executor 'ray' needs the library Ray, which is not installed.", hint=hint
        ) from None
    return ray


def _start(command: Sequence[str], log: str, folder: str, threads: int) -> int:
    """Run one job on the node and return its exit code.

    Cancelling the task interrupts this function, which then lets the run stop after its batch.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    os.makedirs(os.path.dirname(log), exist_ok=True)
    with open(log, "ab") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    try:
        while process.poll() is None:  # not wait(): Ray cannot interrupt it
            time.sleep(0.2)
        return process.returncode
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait()


def _end_event(ray: Any, task: Any, job: ffprobe.Job) -> ffprobe.JobEvent:
    try:
        code = ray.get(task)
    except ray.exceptions.RayError as error:
        return ffprobe.JobEvent(job, "failed", why=f"{type(error).__name__}: {str(error).splitlines()[0]}")
    return ffprobe.JobEvent(job, "failed", why=f"exit code {code}") if code else ffprobe.JobEvent(job, "finished")


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Ray]
