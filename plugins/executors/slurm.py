"""Runs of a sweep as one job array of SLURM."""

import math
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from pydantic import Field

import ffprobe

TICK = 1.0
"""Seconds between two times that the caller is heard."""
PATIENCE = 30.0
"""Seconds that a result may take over a network file system after its job has left the queue, or a run to stop."""


class Slurm(ffprobe.Executor):
    """One job array, through submitit; each task is one run.

    The nodes must see the same files under the same names, and have ffprobe in the same Python. A task that SLURM
    preempts or that reaches its time limit is queued again by submitit and goes on from its last committed epoch. The
    queue is asked with ``squeue``, so that accounting need not be set up. ``pip install 'ffprobe-nn[slurm]'``.
    """

    name = "slurm"
    source = "submitit (https://github.com/facebookincubator/submitit)"

    class Params(ffprobe.Params):
        """What SLURM is asked for each run."""

        partition: str = Field("", description="of the cluster; its default if empty")
        account: str = Field("", description="who pays; nobody if empty")
        hours: float = Field(24, gt=0, description="time limit of a run")
        cores: int = Field(4, ge=1, description="CPU cores of a run")
        gpus: int = Field(0, ge=0, description="GPUs of a run")
        memory: float = Field(8, gt=0, description="gigabytes of a run")
        options: dict[str, str] = Field({}, description="more options of sbatch, by their long names")
        every: float = Field(15, gt=0, description="seconds between two looks at the queue")

    def work(self, jobs, share):
        if share.gpus:
            hint = "Say --executor slurm:gpus=1; SLURM itself knows which are free."
            raise ffprobe.UsageError("--gpus names devices of this machine.", hint=hint)
        submitit = _library()
        folder = jobs[0].log.parent / "slurm"
        folder.mkdir(parents=True, exist_ok=True)
        executor = submitit.SlurmExecutor(folder=folder)
        executor.update_parameters(**self._parameters(share, len(jobs)))
        words = [[sys.executable, "-m", "ffprobe", *job.command] for job in jobs]
        logs, folders = [str(job.log.resolve()) for job in jobs], [str(job.folder) for job in jobs]
        try:
            handles = executor.map_array(_Run(), words, logs, folders)
        except (submitit.core.utils.FailedJobError, subprocess.CalledProcessError) as error:
            raise ffprobe.UsageError(f"SLURM did not take the jobs: {' '.join(str(error).split())}.") from error
        living = dict(zip(handles, jobs, strict=True))
        try:
            for handle, job in living.items():
                yield ffprobe.JobEvent(job, "queued", handle.job_id)
            yield from self._follow(living)
        finally:
            for handle in living:
                handle.cancel(check=False)  # SIGTERM first: a run then stops after its batch
            self._until_gone(living)

    def _parameters(self, share, count):
        """Of ``sbatch``, by submitit's names."""
        own = self.params
        found = {
            **{"job_name": "ffprobe", "time": math.ceil(own.hours * 60), "cpus_per_task": own.cores},
            **{
                "mem": f"{math.ceil(own.memory * 1024)}M",
                "array_parallelism": share.jobs or count,
                "ntasks_per_node": 1,
            },
            **{"nodes": 1, "additional_parameters": dict(own.options)},
        }
        found |= {"gpus_per_node": own.gpus} if own.gpus else {}
        found |= {"partition": own.partition} if own.partition else {}
        return found | ({"account": own.account} if own.account else {})

    def _follow(self, living):
        """Events until every job has ended; takes ended ones out of ``living``."""
        running, gone = set(), {}
        looked = -math.inf
        while living:
            if time.monotonic() - looked >= self.params.every:
                looked, queue = time.monotonic(), _queue(living)
                for handle, job in list(living.items()):
                    state = queue.get(handle.job_id)
                    if state and state.startswith("RUNNING") and handle not in running:
                        running.add(handle)
                        yield ffprobe.JobEvent(job, "running", state.partition(" ")[2])
                    if state is None:
                        gone.setdefault(handle, looked)
            for handle, job in list(living.items()):
                # the result is a file of its own, written under another name first
                known = handle.paths.result_pickle.exists()
                if known or (handle in gone and time.monotonic() - gone[handle] > PATIENCE):
                    del living[handle]
                    yield _ended(handle, job, known)
            yield None
            time.sleep(TICK)

    def _until_gone(self, living):
        """Wait until cancelled jobs have left the queue, so that the sweep can be called again at once."""
        until = time.monotonic() + 2 * PATIENCE
        while living and time.monotonic() < until:
            queue = _queue(living)
            if not any(handle.job_id in queue for handle in living):
                return
            time.sleep(TICK)


class _Run:
    """What a node does: one run, and, when SLURM wants the node back, going on with it later. Pickled by submitit."""

    process = None

    def __call__(self, words, log, folder):
        Path(log).parent.mkdir(parents=True, exist_ok=True)
        with Path(log).open("ab") as file:
            files = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": file}
            # SLURM's signal for submitit reaches every process of the task; the run itself must not die of it
            self.process = subprocess.Popen(words, **files, cwd=folder, preexec_fn=_ignore_usr2)
            self._until_gone()
            return self.process.returncode

    def checkpoint(self, words, log, folder):
        import submitit

        if self.process:
            self.process.send_signal(signal.SIGINT)
            self._until_gone(PATIENCE)
        return submitit.helpers.DelayedSubmission(_Run(), words, log, folder)

    def _until_gone(self, patience=math.inf):
        # not wait(): checkpoint is called by a signal in the middle of __call__, and two waits lock each other out
        until = time.monotonic() + patience
        while self.process.poll() is None and time.monotonic() < until:
            time.sleep(0.2)


def _ignore_usr2():
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def _library():
    try:
        import submitit
    except ImportError:
        hint = "Install it with: pip install 'ffprobe-nn[slurm]'"
        raise ffprobe.UsageError("The executor 'slurm' needs submitit, which is not here.", hint=hint) from None
    if shutil.which("sbatch") is None:
        hint = "Call it on a machine from which jobs are submitted, or leave --executor out."
        raise ffprobe.UsageError("There is no sbatch, so no SLURM, on this machine.", hint=hint)
    return submitit


def _queue(handles):
    """State and reason or node of each job that SLURM still has, by id."""
    ids = ",".join(sorted({handle.job_id.partition("_")[0] for handle in handles}))
    words = ["squeue", "--noheader", "--array", "--states=all", "--format=%i %T %N", "--jobs", ids]
    answer = subprocess.run(words, capture_output=True, text=True, check=False)
    found = {}
    for line in answer.stdout.splitlines():
        job, state, *node = line.split()
        if state in ("PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "REQUEUED", "RESIZING"):
            found[job] = " ".join([state, *node])
    return found


def _ended(handle, job, known):
    if not known:
        return ffprobe.JobEvent(job, "failed", handle.job_id, _last_words(handle.paths.stderr))
    if error := handle.exception():
        why = str(error).strip().splitlines()[-1]
    elif code := handle.result():
        why = f"exit code {code}"
    else:
        return ffprobe.JobEvent(job, "finished", handle.job_id)
    return ffprobe.JobEvent(job, "failed", handle.job_id, why)


def _last_words(path):
    """What SLURM wrote last about a task that left no result."""
    try:
        lines = [line for line in Path(path).read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    return f"left the queue without a result; {lines[-1].strip()}" if lines else "left the queue without a result"


@ffprobe.hookimpl
def ffprobe_components():
    return [Slurm]
