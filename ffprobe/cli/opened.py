"""Many run files open at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

SPARE = 128
"""Files that the process has open besides."""


@contextmanager
def opened(paths: Sequence[Path]) -> Iterator[list[RunFile]]:
    """Open run files and close them at the end; a thousand are more than many systems allow unless asked.

    Raises:
        FileError: one cannot be opened.
    """
    from ffprobe.store.reader import open_run

    _allow(len(paths) + SPARE)
    with ExitStack() as network:
        yield [network.enter_context(open_run(path)) for path in paths]


def _allow(count: int) -> None:
    """Raise this process's own limit on open files as far as the system lets it, where it is too low."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        most = count if hard == resource.RLIM_INFINITY else min(count, hard)
        if most > soft:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
