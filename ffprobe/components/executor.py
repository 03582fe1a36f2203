"""One run to be started somewhere, and what is heard of it: the words between a sweep and its executor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
class Share:
    """How much of a machine, or of a cluster, the jobs of a sweep may take at a time.

    Attributes:
        jobs: at most so many at a time; 0 leaves it to the executor.
        gpus: the CUDA devices to share out, by number or id; empty: none is assigned.
        jobs_per_gpu: how many share one of them.
    """

    jobs: int = 0
    gpus: tuple[str, ...] = ()
    jobs_per_gpu: int = 1
