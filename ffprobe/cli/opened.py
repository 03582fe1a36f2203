"""The run files that a command reads: found in directories, and open at the same time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ffprobe.cli.console import stderr
from ffprobe.cli.slow import shown_if_slow

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Compute everything: neither read nor write the folder RUN.cache.")
]
SPARE = 128
"""Number of other files that the process may have open."""


def run_files(paths: Sequence[Path]) -> list[Path]:
    """The runs that a command reads: each named file, and all finished runs in and below each directory, each once.

    Unfinished runs in a directory are skipped and counted on stderr. A file that is not a run file, or is damaged, is
    skipped with a line on stderr.

    Raises:
        FileError: a directory contains no finished run.
    """
    files: dict[str, Path] = {}
    for path in paths:
        # unlike that of Path, this test is False for a name that is too long
        for file in _finished(path) if os.path.isdir(path) else [path]:
            files.setdefault(os.path.abspath(file), file)
    return list(files.values())


def _finished(directory: Path) -> list[Path]:
    """The finished runs in and below a directory."""
    from ffprobe.analysis.runs.find import find_runs
    from ffprobe.errors import FileError
    from ffprobe.store.names import is_partial

    finished, refused, unfinished = [], [], []
    with shown_if_slow(f"Searching {directory} for runs") as update:
        for number, path in enumerate(files := find_runs(directory), 1):
            update(f"Reading runs in {directory}: {number} of {len(files)}")
            if is_partial(path):
                unfinished.append(path)
            elif reason := _refusal(path):
                refused.append(f"{path}: skipped; {reason}")
            else:
                finished.append(path)
    for line in refused:
        stderr().print(line, markup=False, soft_wrap=True)
    count = f"{len(unfinished)} unfinished run{'s' * (len(unfinished) != 1)}"
    if not finished:
        hint = f"It has {count}; name one to read it: {unfinished[0]}" if unfinished else ""
        raise FileError("There is no finished run file in this directory.", where=str(directory), hint=hint)
    if unfinished:
        stderr().print(f"{directory}: skipped {count}.", markup=False, soft_wrap=True)
    return finished


def _refusal(path: Path) -> str:
    """Why a file cannot be read; empty if it can."""
    from ffprobe.errors import FileError
    from ffprobe.store.reader import open_run

    try:
        open_run(path).close()
    except FileError as error:
        return error.what
    return ""


def cache_choice(no_cache: bool) -> AbstractContextManager[None]:
    """A context in which analyses neither read nor write the cache beside a run file, if the user said so."""
    from ffprobe.analysis.runs.cache import without_cache

    return without_cache() if no_cache else nullcontext()


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
