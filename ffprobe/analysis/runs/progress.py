"""What an analysis is doing, for whoever shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_show: ContextVar[Callable[[str], None] | None] = ContextVar("show", default=None)


def report_progress(doing: str) -> None:
    """Say what an analysis is doing now; the command line shows it if the analysis takes long.

    Args:
        doing: a phrase such as ``run.h5: layer 3 of 12``.
    """
    if show := _show.get():
        show(doing)


@contextmanager
def progress_of(what: str) -> Iterator[None]:
    """Put a name, such as that of the run, before everything that is reported inside the block."""
    show = _show.get()
    with progress_shown_by(lambda doing: show(f"{what}: {doing}") if show else None):
        yield


@contextmanager
def progress_shown_by(show: Callable[[str], None]) -> Iterator[None]:
    """Pass everything that analyses report inside the block to a function."""
    token = _show.set(show)
    try:
        yield
    finally:
        _show.reset(token)
