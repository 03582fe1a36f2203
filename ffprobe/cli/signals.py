"""Ctrl-C and SIGTERM stop a run after the batch under way."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ffprobe.errors import Interrupted


@contextmanager
def stopping_on_signals(stop: Callable[[int], None]) -> Iterator[None]:
    """Call ``stop(signal number)`` on SIGINT or SIGTERM inside the block; a second SIGINT interrupts at once."""
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked = True
        stop(number)

    before: dict[int, Any] = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Inside the block SIGINT and SIGTERM raise KeyboardInterrupt, so that everything below cleans up.

    Raises:
        Interrupted: afterwards, with the signal's own exit code.
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
        hint = "Call it again to go on."
        raise Interrupted("Interrupted; the runs under way were stopped.", signal_number=number, hint=hint) from None
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
