"""Shows what a command is doing once it has taken two seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer

from rich.text import Text

from ffprobe.cli.console import stderr
from ffprobe.display import plain_text

SECONDS = 2.0
"""Seconds from which a command says what it is doing."""


@contextmanager
def shown_if_slow(what: str) -> Iterator[Callable[[str], None]]:
    """Show on stderr what the block is doing if it takes longer than two seconds.

    It is a live line on a terminal and one line in a log.

    Args:
        what: what it is doing at first, such as ``Searching runs``.

    Yields:
        A function that changes the text.
    """
    console = stderr()
    status = console.status(_text(what))
    latest = what

    def show() -> None:
        if console.is_terminal and not console.is_dumb_terminal:
            status.start()
        else:
            console.print(_text(latest), soft_wrap=True)

    def update(text: str) -> None:
        nonlocal latest
        latest = text
        status.update(_text(text))

    timer = Timer(SECONDS, show)
    timer.daemon = True
    timer.start()
    try:
        yield update
    finally:
        timer.cancel()
        timer.join()
        status.stop()


def _text(what: str) -> Text:
    return Text(f"{plain_text(what, one_line=True)} ...")
