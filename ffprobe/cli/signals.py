"""Signal handling: Ctrl-C and SIGTERM stop a run after the current batch."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ffprobe.errors import Interrupted


@contextmanager
def stopping_on_signals(stop: Callable[[int], None]) -> Iterator[None]:
    """Call ``stop(signal number)`` on SIGINT or SIGTERM inside the block.

    A second SIGINT raises KeyboardInterrupt at once; a third ends the process, whatever is being cleaned up.
    """
    interrupts = received = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal interrupts, received
        received += 1
        interrupts += number == signal.SIGINT
        if received == 1 or number != signal.SIGINT:
            stop(number)
            return
        _end_after_three(interrupts)
        raise KeyboardInterrupt

    before: dict[int, Any] = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGINT and SIGTERM inside the block, so that all code in it cleans up.

    A third SIGINT ends the process, whatever is being cleaned up.

    Raises:
        Interrupted: after the clean-up, with the exit code of the signal.
    """
    number, interrupts = signal.SIGINT, 0

    def handle(received: int, frame: FrameType | None) -> None:
        nonlocal number, interrupts
        number = signal.Signals(received)
        interrupts += received == signal.SIGINT
        _end_after_three(interrupts)
        raise KeyboardInterrupt

    before: dict[int, Any] = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        hint = "Run the same command again to continue."
        raise Interrupted("Interrupted; the runs in progress were stopped.", signal_number=number, hint=hint) from None
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _end_after_three(interrupts: int) -> None:
    """End the process at the third Ctrl-C: nothing that catches exceptions can prevent it."""
    if interrupts >= 3:
        os._exit(128 + signal.SIGINT)
