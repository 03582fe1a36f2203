"""Requests to the worker process as jobs: what is asked for last is answered first, and answers are kept."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from ffprobe.display import plain_text
from ffprobe.view.payload.plain_values import json_bytes
from ffprobe.view.worker.process import work

MAX_BYTES = 128 << 20
"""Bytes of answers that are kept."""
MAX_WAITING = 64
"""Jobs that wait; of more, the one that was asked for longest ago is forgotten."""
PATIENCE = 20.0
"""Seconds without a question for a job after which nobody is believed to wait for it."""
TICK = 0.25


@dataclass
class Job:
    """One request.

    Attributes:
        request: what the worker gets.
        doing: what is being done.
        asked: when it was last asked for, on the monotonic clock.
        status: HTTP status of the answer; 0 before there is one.
        body: the answer.
    """

    request: Mapping[str, Any]
    doing: str = "waiting"
    asked: float = field(default_factory=time.monotonic)
    status: int = 0
    body: bytes = b""


class Jobs:
    """The jobs of a server; starts one worker process when the first one is asked for.

    Args:
        changed: called, from another thread, with the key of a job that has an answer.
    """

    def __init__(self, changed: Callable[[str], None] = lambda key: None) -> None:
        self._changed = changed
        self._jobs: OrderedDict[str, Job] = OrderedDict()  # the one that was asked for last is at the end
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._closed = False
        self._number = 0

    def ask(self, key: str, request: Mapping[str, Any]) -> tuple[int, bytes]:
        """The answer of a job, or 202 and what is being done.

        Args:
            key: text that determines the answer: the request and the revisions of its runs.
            request: for the worker.
        """
        with self._condition:
            job = self._jobs.setdefault(key, Job(dict(request)))
            job.asked = time.monotonic()
            self._jobs.move_to_end(key)
            if job.status:
                return job.status, job.body
            self._forget()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="ffprobe view jobs", daemon=True)
                self._thread.start()
            self._condition.notify()
            return 202, json_bytes({"status": "working", "doing": plain_text(job.doing), "job": key})

    def close(self) -> None:
        """End the worker process, whatever it is doing."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        self._stop()

    def _run(self) -> None:
        while not self._closed:
            with self._condition:
                waiting = [(key, job) for key, job in self._jobs.items() if not job.status]
                waiting = [(key, job) for key, job in waiting if self._wanted(job)]
                if not waiting:
                    self._condition.wait(TICK if self._jobs else None)
                    continue
                key, job = waiting[-1]
            try:
                self._do(job)
            except (EOFError, OSError) as error:
                if self._closed:
                    return
                self._stop()
                what = f"The worker process ended ({type(error).__name__}); memory may have run out."
                job.status, job.body = 500, json_bytes({"error": what, "hint": "Ask again."})
            if job.status:
                self._changed(key)

    def _do(self, job: Job) -> None:
        """Let the worker answer a job; if nobody waits for it any more and another job does, end the worker."""
        pipe = self._started()
        self._number += 1
        job.doing = "starting" if job.doing == "waiting" else job.doing
        pipe.send((self._number, dict(job.request)))
        while not self._closed:
            if not pipe.poll(TICK):
                if not self._wanted(job) and self._another_waits(job):
                    self._stop()
                    return
                continue
            kind, number, *rest = pipe.recv()
            if number != self._number:
                continue
            if kind == "doing":
                job.doing = str(rest[0])
                continue
            with self._condition:
                job.status, job.body = rest
            return

    def _wanted(self, job: Job) -> bool:
        return time.monotonic() - job.asked < PATIENCE

    def _another_waits(self, job: Job) -> bool:
        with self._condition:
            return any(other is not job and not other.status and self._wanted(other) for other in self._jobs.values())

    def _forget(self) -> None:
        """Keep the answers within their limit, and the waiting jobs within theirs; the oldest go first."""
        size = sum(len(job.body) for job in self._jobs.values())
        waiting = sum(not job.status for job in self._jobs.values())
        for key, job in list(self._jobs.items())[:-1]:
            if job.status and size > MAX_BYTES:
                size -= len(self._jobs.pop(key).body)
            elif not job.status and waiting > MAX_WAITING:
                waiting -= 1
                del self._jobs[key]

    def _started(self) -> Connection:
        if self._pipe is None or self._process is None or not self._process.is_alive():
            context = multiprocessing.get_context("spawn")  # a fork would copy the threads' locks
            self._pipe, other = context.Pipe()
            self._process = context.Process(target=work, args=(other,), name="ffprobe view worker", daemon=True)
            self._process.start()
            other.close()
        return self._pipe

    def _stop(self) -> None:
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        if process is not None:
            process.terminate()
            process.join(1)
            if process.is_alive():
                process.kill()
                process.join(1)
        if pipe is not None:
            pipe.close()
