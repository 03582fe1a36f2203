"""Where the runs of a sweep are started, and the jobs and events that pass between a sweep and its executor."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ffprobe.components.base import Component

JobState = Literal["queued", "running", "finished", "failed"]


@dataclass(frozen=True)
class Job:
    """One ``ffprobe run`` to be started.

    Attributes:
        name: unique in its sweep, fit for a file name.
        command: the words of the run, beginning with ``run``; an executor puts ``sys.executable -m ffprobe`` before.
        out: the run file that it writes.
        log: where its output goes; an executor appends to it.
        folder: the directory to start it in.
    """

    name: str
    command: tuple[str, ...]
    out: Path
    log: Path
    folder: Path


@dataclass(frozen=True)
class JobEvent:
    """A job's new state.

    Attributes:
        job: which.
        state: what became of it.
        where: the device, node or queue id; empty when there is nothing to say.
        why: of a failure, in a few words; empty where the log alone knows.
    """

    job: Job
    state: JobState
    where: str = ""
    why: str = ""


@dataclass(frozen=True)
class ResourceLimits:
    """How much of a machine, or of a cluster, the jobs of a sweep may take at a time.

    Attributes:
        jobs: at most so many at a time; 0 leaves it to the executor.
        gpus: the CUDA devices to share out, by number or id; empty: none is assigned.
        jobs_per_gpu: how many share one of them.
    """

    jobs: int = 0
    gpus: tuple[str, ...] = ()
    jobs_per_gpu: int = 1


class Executor(Component):
    """Where the runs of a sweep are worked off: this machine, a cluster. An executor is no slot of a run."""

    kind = "executor"

    @abstractmethod
    def work(self, jobs: Sequence[Job], share: ResourceLimits) -> Iterator[JobEvent | None]:
        """Start every job, and tell what becomes of it.

        A generator. It yields an event when a job's state changes, ``finished`` or ``failed`` once for each job, and
        None at least every few seconds, so that its caller can act meanwhile. Closing it must stop what is still
        running (``finally``), gently: a run that gets SIGINT commits nothing half and can be gone on with. An executor
        adds a job's output to ``job.log``. A job that fails is told and never raises.

        Args:
            jobs: in the order in which they should start.
            share: how much may run at a time.

        Raises:
            UsageError: the jobs cannot be started here at all, or what is needed for it is not installed.
        """
