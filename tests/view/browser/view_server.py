"""``ffprobe view`` as a process, for the tests in a browser."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from warm.start import program


class Server:
    """``ffprobe view`` as a process."""

    def __init__(self, folder: Path) -> None:
        words = [*program(), "view", str(folder), "--no-browser", "--json"]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        text = ""
        while not text.rstrip().endswith("}"):
            line = self.process.stdout.readline()
            if not line:
                raise AssertionError(self.process.communicate()[1])
            text += line
        self.url = json.loads(text)["url"]

    def stop(self) -> None:
        """Interrupt it, as Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(20)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def until(page: Any, expression: str, seconds: float = 20) -> None:
    """Wait until an expression is true on the page; Playwright's own wait needs an ``eval`` that the policy refuses."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"never true: {expression}"
        time.sleep(0.05)


def eventually(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until a condition holds: the page draws what a key or a click changed a moment later."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never held"
        time.sleep(0.05)
