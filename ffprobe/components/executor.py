"""Where the runs of a sweep start, and the jobs and events that a sweep and its executor exchange."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ffprobe.components.base import Component

JobState = Literal["queued", "running", "finished", "failed", "stopped"]
"""An executor reports the first four; a job that ends after ``Executor.stop`` counts as stopped, not as failed."""


@dataclass(frozen=True)
class Job:
    """One ``ffprobe run`` that an executor starts.

    Attributes:
        name: unique within the sweep and valid as a file name.
        command: the arguments of the run, beginning with ``run``; ``argv`` puts the program in front of them.
        out: the run file that the job writes.
        log: the file that receives the output of the job; the executor appends to it.
        folder: the working directory of the job.
    """

    name: str
    command: tuple[str, ...]
    out: Path
    log: Path
    folder: Path

    def argv(self, processes: int = 1) -> list[str]:
        """The command that runs this job with this Python.

        Args:
            processes: number of processes that train the run together, all on one machine; torchrun starts them if
                there are more than one.
        """
        if processes == 1:
            return [sys.executable, "-m", "ffprobe", *self.command]
        start = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
        return [sys.executable, "-m", *start, "ffprobe", *self.command]


@dataclass(frozen=True)
class JobEvent:
    """A change of a job's state.

    Attributes:
        job: the job.
        state: its new state.
        where: the device, node or queue ID; empty if there is nothing to report.
        why: a short reason for a failure; empty if only the log knows it.
    """

    job: Job
    state: JobState
    where: str = ""
    why: str = ""


@dataclass(frozen=True)
class ResourceLimits:
    """The resources of a machine or a cluster that the jobs of a sweep may use at the same time.

    Attributes:
        jobs: maximum number of concurrent jobs; 0 lets the executor decide.
        gpus: the CUDA devices to assign, by number or ID; empty assigns none.
        jobs_per_gpu: number of jobs that share one GPU.
    """

    jobs: int = 0
    gpus: tuple[str, ...] = ()
    jobs_per_gpu: int = 1


class Executor(Component):
    """Runs the jobs of a sweep, on this machine or on a cluster.

    An executor is not part of a run's config: it is chosen on the command line of ``ffprobe sweep``.
    """

    kind = "executor"

    @abstractmethod
    def run_jobs(self, jobs: Sequence[Job], limits: ResourceLimits) -> Generator[JobEvent | None, None, None]:
        """Run every job and report its state.

        This is a generator. It yields an event whenever the state of a job changes, including exactly one ``finished``
        or ``failed`` event for each job. It also yields None at least every few seconds, so that the caller can act in
        between. Closing the generator must stop all running jobs (in ``finally``), and must do so gently: a run that
        receives SIGINT stops after its batch, writes no partial epoch and can be resumed. The executor appends the
        output of each job to ``job.log``. A job that fails is reported as an event and never raises.

        Args:
            jobs: the jobs, in the order in which they should start.
            limits: the resources that the jobs may use at the same time.

        Raises:
            UsageError: the executor cannot start jobs here at all, or a library that it needs is not installed.
        """

    def stop(self, job: Job) -> bool:
        """Ask one running job to stop after its batch, for a search that gives it up; its end is reported as usual.

        Args:
            job: one of the jobs that ``run_jobs`` has reported as running.

        Returns:
            Whether the job was asked. The default is False: the executor cannot stop single jobs; they run to the end.
        """
        return False
