"""Runs the jobs of a sweep as one SLURM job array."""

from __future__ import annotations

import math
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

import ffprobe

TICK = 1.0
"""Seconds between two yields to the caller."""
PATIENCE = 30.0
"""Seconds to wait for a result on a network file system after its job left the queue, and for a run to stop."""
ACTIVE = ("PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "REQUEUED", "RESIZING")
"""States of jobs that have not ended."""


class Slurm(ffprobe.Executor):
    """Runs each job as one task of a SLURM job array, submitted through submitit.

    All nodes must see the same files under the same paths and have ffprobe installed in the same Python environment. If
    SLURM preempts a task, or the task reaches its time limit, submitit queues it again and the run resumes from its
    last checkpoint. The executor polls the queue with ``squeue``, so it does not need SLURM accounting. Install
    submitit with ``pip install 'ffprobe-nn[slurm]'``.
    """

    name = "slurm"
    source = "submitit (https://github.com/facebookincubator/submitit)"

    class Params(ffprobe.Params):
        """The SLURM resources of each run."""

        partition: str = Field("", description="SLURM partition; empty: the default partition of the cluster")
        account: str = Field("", description="SLURM account to charge; empty: the default account")
        hours: float = Field(24, gt=0, description="time limit of each run, in hours")
        processes: int = Field(
            1, ge=1, description="number of processes that train each run together, all on one node; give cores for all"
        )
        cores: int = Field(4, ge=1, description="number of CPU cores of each run")
        gpus: int = Field(0, ge=0, description="number of GPUs of each run")
        memory: float = Field(8, gt=0, description="memory of each run, in gigabytes")
        options: dict[str, str] = Field({}, description="additional sbatch options, by their long names")
        every: float = Field(15, gt=0, description="interval between two squeue calls, in seconds")

    def run_jobs(
        self, jobs: Sequence[ffprobe.Job], limits: ffprobe.ResourceLimits
    ) -> Generator[ffprobe.JobEvent | None, None, None]:
        if limits.gpus:
            raise ffprobe.UsageError(
                "--gpus selects GPUs of this machine; it does not work with the executor 'slurm'.",
                hint="Use --executor slurm:gpus=1; SLURM assigns the GPUs itself.",
            )
        submitit = _library()
        folder = jobs[0].log.parent / "slurm"
        folder.mkdir(parents=True, exist_ok=True)
        executor = submitit.SlurmExecutor(folder=folder)
        executor.update_parameters(**self._parameters(limits, len(jobs)))
        processes = self.params.processes
        # torchrun would give every process one thread
        before = ["env", f"OMP_NUM_THREADS={max(1, self.params.cores // processes)}"] if processes > 1 else []
        commands = [[*before, *job.argv(processes)] for job in jobs]
        logs, folders = [str(job.log.resolve()) for job in jobs], [str(job.folder) for job in jobs]
        try:
            handles = executor.map_array(_Run(), commands, logs, folders)
        except (submitit.core.utils.FailedJobError, subprocess.CalledProcessError) as error:
            raise ffprobe.UsageError(f"SLURM rejected the jobs: {' '.join(str(error).split())}.") from error
        active: dict[Any, ffprobe.Job] = dict(zip(handles, jobs, strict=True))
        try:
            for handle, job in active.items():
                yield ffprobe.JobEvent(job, "queued", handle.job_id)
            yield from self._follow(active)
        finally:
            for handle in active:
                handle.cancel(check=False)  # SLURM sends SIGTERM first, and a run then stops after its batch
            self._wait_until_gone(active)

    def _parameters(self, limits: ffprobe.ResourceLimits, count: int) -> dict[str, Any]:
        """The ``sbatch`` parameters, under submitit's names."""
        params = self.params
        parameters: dict[str, Any] = {
            "job_name": "ffprobe",
            "time": math.ceil(params.hours * 60),
            "cpus_per_task": params.cores,
            "mem": f"{math.ceil(params.memory * 1024)}M",
            "array_parallelism": limits.jobs or count,
            "ntasks_per_node": 1,
            "nodes": 1,
            "additional_parameters": dict(params.options),
        }
        parameters |= {"gpus_per_node": params.gpus} if params.gpus else {}
        parameters |= {"partition": params.partition} if params.partition else {}
        return parameters | ({"account": params.account} if params.account else {})

    def _follow(self, active: dict[Any, ffprobe.Job]) -> Iterator[ffprobe.JobEvent | None]:
        """Yield events until every job has ended; removes ended jobs from ``active``."""
        running: set[Any] = set()
        left_queue: dict[Any, float] = {}
        polled = -math.inf
        while active:
            if time.monotonic() - polled >= self.params.every:
                polled, queue = time.monotonic(), _queue(active)
                for handle, job in list(active.items()):
                    state = queue.get(handle.job_id)
                    if state and state.startswith("RUNNING") and handle not in running:
                        running.add(handle)
                        yield ffprobe.JobEvent(job, "running", state.partition(" ")[2])
                    if state is None:
                        left_queue.setdefault(handle, polled)
            for handle, job in list(active.items()):
                # submitit writes the result under another name first, so a file with this name is complete
                has_result = handle.paths.result_pickle.exists()
                if has_result or (handle in left_queue and time.monotonic() - left_queue[handle] > PATIENCE):
                    del active[handle]
                    yield _end_event(handle, job, has_result)
            yield None
            time.sleep(TICK)

    def _wait_until_gone(self, handles: Collection[Any]) -> None:
        """Wait until cancelled jobs have left the queue, so that the sweep can start again at once."""
        deadline = time.monotonic() + 2 * PATIENCE
        while handles and time.monotonic() < deadline:
            queue = _queue(handles)
            if not any(handle.job_id in queue for handle in handles):
                return
            time.sleep(TICK)


class _Run:
    """The work of a node: one run, which is queued again and resumed if SLURM takes the node back.

    submitit pickles this object.
    """

    process: subprocess.Popen[bytes] | None = None

    def __call__(self, command: Sequence[str], log: str, folder: str) -> int:
        Path(log).parent.mkdir(parents=True, exist_ok=True)
        with Path(log).open("ab") as file:
            # SLURM's signal for submitit reaches every process of the task; the run itself must survive it
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=folder, preexec_fn=_ignore_usr2
            )
            self._wait(self.process)
            return self.process.returncode

    def checkpoint(self, command: Sequence[str], log: str, folder: str) -> Any:
        import submitit  # type: ignore[import-not-found,unused-ignore]

        if self.process:
            self.process.send_signal(signal.SIGINT)
            self._wait(self.process, PATIENCE)
        return submitit.helpers.DelayedSubmission(_Run(), command, log, folder)

    def _wait(self, process: subprocess.Popen[bytes], timeout: float = math.inf) -> None:
        # not process.wait(): a signal calls checkpoint in the middle of __call__, and two waits would block each other
        deadline = time.monotonic() + timeout
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)


def _ignore_usr2() -> None:
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def _library() -> Any:
    try:
        import submitit
    except ImportError:
        hint = "Install it with: pip install 'ffprobe-nn[slurm]'"
        raise ffprobe.UsageError("The executor 'slurm' needs submitit, which is not installed.", hint=hint) from None
    if shutil.which("sbatch") is None:
        raise ffprobe.UsageError(
            "This machine has no sbatch, so it cannot submit SLURM jobs.",
            hint="Run the command on a login node of the cluster, or leave out --executor.",
        )
    return submitit


def _queue(handles: Collection[Any]) -> dict[str, str]:
    """The state of each job that SLURM still has, followed by its node or the reason for waiting, by job ID."""
    ids = ",".join(sorted({handle.job_id.partition("_")[0] for handle in handles}))
    command = ["squeue", "--noheader", "--array", "--states=all", "--format=%i %T %N", "--jobs", ids]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    states = {}
    for line in output.splitlines():
        job, state, *node = line.split()
        if state in ACTIVE:
            states[job] = " ".join([state, *node])
    return states


def _end_event(handle: Any, job: ffprobe.Job, has_result: bool) -> ffprobe.JobEvent:
    if not has_result:
        return ffprobe.JobEvent(job, "failed", handle.job_id, _missing_result(handle.paths.stderr))
    if error := handle.exception():
        why = str(error).strip().splitlines()[-1]
    elif code := handle.result():
        why = f"exit code {code}"
    else:
        return ffprobe.JobEvent(job, "finished", handle.job_id)
    return ffprobe.JobEvent(job, "failed", handle.job_id, why)


def _missing_result(stderr: Path) -> str:
    """Why a task has no result, with the last line that SLURM wrote about it."""
    try:
        lines = [line for line in Path(stderr).read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    return f"left the queue without a result; {lines[-1].strip()}" if lines else "left the queue without a result"


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Slurm]
