"""Opens many run files at the same time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

SPARE = 128
"""Number of other files that the process may have open."""


@contextmanager
def opened(paths: Sequence[Path]) -> Iterator[list[RunFile]]:
    """Open run files and close them at the end of the block.

    The process's limit on open files is raised if necessary, because a sweep may have more runs than it allows.

    Raises:
        FileError: a file cannot be opened.
    """
    from ffprobe.store.reader import open_run

    _allow(len(paths) + SPARE)
    with ExitStack() as stack:
        yield [stack.enter_context(open_run(path)) for path in paths]


def _allow(count: int) -> None:
    """Raise this process's limit on open files to ``count``, or as far as the system allows, if it is lower."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        limit = count if hard == resource.RLIM_INFINITY else min(count, hard)
        if limit > soft:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
