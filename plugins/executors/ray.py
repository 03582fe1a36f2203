"""Runs of a sweep as tasks of a Ray cluster."""

import logging
import os
import signal
import subprocess
import sys
import time

from pydantic import Field

import ffprobe

TICK = 1.0
"""Seconds to wait for a task before looking elsewhere."""
QUIET = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}


class Ray(ffprobe.Executor):
    """Tasks of Ray: a cluster that is there, or one on this machine.

    Each run is a process started by a task with its share of cores and GPUs; Ray sets ``CUDA_VISIBLE_DEVICES``. The
    nodes must see the same files under the same names, and have ffprobe in the same Python.
    ``pip install 'ffprobe-nn[ray]'``.
    """

    name = "ray"
    source = "Ray (arXiv:1712.05889)"

    class Params(ffprobe.Params):
        """Which cluster, and what each run may take of it."""

        address: str = Field("", description="of the cluster (auto, ray://...); empty: one on this machine")
        cores: float = Field(1, gt=0, description="CPU cores of a run")
        gpus: float = Field(0, ge=0, description="GPUs of a run; 0.5 puts two on one")

    def work(self, jobs, share):
        if share.gpus:
            hint = "Say --executor ray:gpus=1; Ray itself knows which there are."
            raise ffprobe.UsageError("--gpus names devices of this machine.", hint=hint)
        ray = _library()
        ours = not ray.is_initialized()
        if ours:
            ray.init(address=self.params.address or "local", **QUIET)
        # a run that dies is not started again by Ray: the sweep tells it, and its caller decides
        start = ray.remote(num_cpus=self.params.cores, num_gpus=self.params.gpus, max_retries=0)(_start)
        waiting, living = list(jobs), {}
        try:
            while waiting or living:
                while waiting and (not share.jobs or len(living) < share.jobs):
                    job = waiting.pop(0)
                    words = [sys.executable, "-m", "ffprobe", *job.command]
                    task = start.remote(words, str(job.log), str(job.folder), max(1, int(self.params.cores)))
                    living[task] = job
                    yield ffprobe.JobEvent(job, "running", "Ray")
                done, _ = ray.wait(list(living), num_returns=1, timeout=TICK)
                for task in done:
                    yield _ended(ray, task, living.pop(task))
                yield None
        finally:
            for task in living:
                ray.cancel(task, force=False)
            ray.wait(list(living), num_returns=len(living), timeout=60) if living else None
            if ours:
                ray.shutdown()


def _library():
    try:
        import ray
    except ImportError:
        hint = "Install it with: pip install 'ffprobe-nn[ray]'"
        raise ffprobe.UsageError("The executor 'ray' needs the library Ray, which is not here.", hint=hint) from None
    return ray


def _start(words, log, folder, threads):
    """On the node: the run's exit code. A cancelled task is interrupted here, and lets the run stop after its batch."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    os.makedirs(os.path.dirname(log), exist_ok=True)
    with open(log, "ab") as file:
        files = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": file}
        process = subprocess.Popen(words, **files, env=environment, cwd=folder, start_new_session=True)
    try:
        while process.poll() is None:  # Ray cannot interrupt a wait
            time.sleep(0.2)
        return process.returncode
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait()


def _ended(ray, task, job):
    try:
        code = ray.get(task)
    except ray.exceptions.RayError as error:
        return ffprobe.JobEvent(job, "failed", why=f"{type(error).__name__}: {str(error).splitlines()[0]}")
    return ffprobe.JobEvent(job, "failed", why=f"exit code {code}") if code else ffprobe.JobEvent(job, "finished")


@ffprobe.hookimpl
def ffprobe_components():
    return [Ray]
