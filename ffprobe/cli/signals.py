"""Signal handling: Ctrl-C and SIGTERM stop a run after the current batch."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ffprobe.errors import Interrupted


@contextmanager
def stopping_on_signals(stop: Callable[[int], None]) -> Iterator[None]:
    """Call ``stop(signal number)`` on SIGINT or SIGTERM inside the block; a second SIGINT interrupts immediately."""
    stopping = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        if stopping and number == signal.SIGINT:
            raise KeyboardInterrupt
        stopping = True
        stop(number)

    before: dict[int, Any] = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGINT and SIGTERM inside the block, so that all code in it cleans up.

    Raises:
        Interrupted: after the clean-up, with the exit code of the signal.
    """
    number = signal.SIGINT

    def handle(received: int, frame: FrameType | None) -> None:
        nonlocal number
        number = signal.Signals(received)
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
