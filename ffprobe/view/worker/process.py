"""The worker process: answers requests one after the other until its pipe closes."""

from __future__ import annotations

import contextlib
import os
import signal
from multiprocessing.connection import Connection

NICE = 5
"""How much it yields to other processes, such as a run that trains: with this, it gets a quarter of a shared core."""


def work(pipe: Connection) -> None:
    """Answer requests from the pipe.

    Sends ``("doing", number, text)`` while it works and ``("done", number, status, body)`` at the end of each request.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole terminal; the server ends this process
    with contextlib.suppress(OSError, AttributeError):
        os.nice(NICE)
    with contextlib.suppress(OSError):
        os.dup2(2, 1)  # what a plugin prints must not mix with the output of the command
    from ffprobe.view.worker.requests import answer

    while True:
        try:
            number, request = pipe.recv()
        except EOFError:
            return

        def show(text: str, number: int = number) -> None:
            pipe.send(("doing", number, text))

        try:
            status, body = answer(request, show)
            pipe.send(("done", number, status, body))
        except (BrokenPipeError, ConnectionError):
            return
