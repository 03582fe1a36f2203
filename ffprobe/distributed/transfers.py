"""Point-to-point transfers between two processes: bytes in the background, with a limit on waiting."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

import torch
from torch import distributed

from ffprobe.errors import FfprobeError

log = logging.getLogger("ffprobe")

WARN_AFTER = 0.1
"""Fraction of the limit after which a process that still waits says for whom."""


MEET = (1 << 25) - 1
"""The tag of a meeting; all other tags are below it."""

TRAINED = count()
"""Numbers the transfers that this process has made, in the same order in every process."""


@dataclass
class Traffic:
    """What a process has sent, and how long it has waited.

    Attributes:
        sent: bytes sent to other processes during steps.
        waited: seconds spent waiting for other processes during steps.
    """

    sent: int = 0
    waited: float = 0.0


class Transfers:
    """Sends and receives bytes with ``torch.distributed`` isend and irecv, between CPUs (gloo).

    Args:
        limit: seconds that a process waits for another one before it ends with an error.
        in_flight: number of batches of which sent bytes may be unreceived; sending one more waits for the oldest.
    """

    def __init__(self, limit: float, in_flight: int = 2) -> None:
        self.limit, self.in_flight = limit, in_flight
        # what an interrupted run announced and never received must not receive what the next one sends
        self._tags = (next(TRAINED) % 32) << 25
        self.traffic = Traffic()
        self._sent: deque[list[tuple[Any, torch.Tensor, int, str]]] = deque()
        self._waiting: tuple[float, int, str] | None = None
        self._watch: threading.Thread | None = None
        self._over = threading.Event()

    def begin_batch(self) -> None:
        """Begin the sends of the next batch; waits for those of the oldest batch if too many are in flight."""
        while len(self._sent) >= self.in_flight:
            self._complete(self._sent.popleft())
        self._sent.append([])

    def send(self, data: torch.Tensor, to: int, tag: int, what: str) -> None:
        """Send bytes, uint8 ``[n]`` on the CPU, without waiting; they must not change until they are received."""
        if not self._sent:
            self._sent.append([])
        with reported(to):
            self._sent[-1].append((distributed.isend(data, to, tag=self._tags + tag), data, to, what))
        self.traffic.sent += data.numel()

    def expect(self, length: int, source: int, tag: int) -> Incoming:
        """Announce that ``length`` bytes are wanted, so that they arrive in the background."""
        data = torch.empty(length, dtype=torch.uint8)
        with reported(source):
            return Incoming(distributed.irecv(data, source, tag=self._tags + tag), data, source)

    def receive(self, incoming: Incoming, what: str) -> torch.Tensor:
        """Wait for announced bytes; uint8 ``[n]``."""
        self._wait(incoming.work, incoming.source, what)
        return incoming.data

    def drain(self) -> None:
        """Wait until everything that was sent has been received, and end the thread that watches over waits."""
        while self._sent:
            self._complete(self._sent.popleft())
        if self._watch:
            self._over.set()
            self._watch.join()
            self._watch = None

    def meet(self, what: str) -> None:
        """Wait until every process has called this, through the first one; a process that does not come is named.

        Raises:
            FfprobeError: a process has ended, or has not come within the limit.
        """
        rank, size = distributed.get_rank(), distributed.get_world_size()
        here = torch.zeros(1, dtype=torch.uint8)
        for other in range(1, size) if rank == 0 else []:
            self.receive(self.expect(1, other, MEET), what)
        for other in range(1, size) if rank == 0 else [0]:
            self.send(here, other, MEET, what)
        if rank:
            self.receive(self.expect(1, 0, MEET), what)
        self.drain()

    def _complete(self, sends: list[tuple[Any, torch.Tensor, int, str]]) -> None:
        for work, _, to, what in sends:
            self._wait(work, to, what)

    def _wait(self, work: Any, peer: int, what: str) -> None:
        began = time.monotonic()
        self._waiting = (began, peer, what)
        if self._watch is None:
            self._over.clear()
            self._watch = threading.Thread(target=self._warn, daemon=True, name="ffprobe-stragglers")
            self._watch.start()
        try:
            work.wait(timedelta(seconds=self.limit))
        except RuntimeError as error:
            raise _ended(error, peer, self.limit) from error
        finally:
            self._waiting = None
            self.traffic.waited += time.monotonic() - began

    def _warn(self) -> None:
        # one thread for an epoch: a timer for every wait would cost a thread for every batch
        pause, warned = min(1.0, self.limit * WARN_AFTER / 2), None
        while not self._over.wait(pause):
            waiting = self._waiting
            if waiting and waiting is not warned and time.monotonic() - waiting[0] > self.limit * WARN_AFTER:
                warned, (_, peer, what) = waiting, waiting
                log.warning(
                    "process %d has waited %.0f seconds for %s (%s); it ends after %.0f seconds",
                    distributed.get_rank(),
                    self.limit * WARN_AFTER,
                    f"process {peer}",
                    what,
                    self.limit,
                )


@dataclass(frozen=True)
class Incoming:
    """Bytes that were announced and may not have arrived yet."""

    work: Any
    data: torch.Tensor
    source: int


@contextmanager
def reported(peer: int | None = None) -> Iterator[None]:
    """Errors of ``torch.distributed`` inside the block as an ``FfprobeError`` that says what happened."""
    try:
        yield
    except RuntimeError as error:
        raise _ended(error, peer, 0) from error


def _ended(error: RuntimeError, peer: int | None, limit: float) -> FfprobeError:
    reason = str(error).splitlines()[0]
    who = "Another process" if peer is None else f"Process {peer}"
    slow = "timed out" in reason.lower()
    return FfprobeError(
        f"{who} has sent nothing for {limit:.0f} seconds, so this process stops."
        if slow
        else "Another process of this run has ended, so this process stops.",
        where=f"process {distributed.get_rank()} of {distributed.get_world_size()}: {reason[:160]}",
        hint="If it only needs longer, raise --set parallel_timeout, and repeat the command with --resume."
        if slow
        else "The other process prints the reason. Fix it, then repeat the command with --resume.",
    )
