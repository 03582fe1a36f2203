"""The names of a run file, and the locks on them.

``run.h5.partial.rewrite`` while the file is created, ``run.h5.partial`` until the run finishes, then ``run.h5``.
"""

from __future__ import annotations

import os
import shlex
from itertools import chain, count
from pathlib import Path

from ffprobe.errors import UsageError
from ffprobe.store.file_lock import FileLock, another_writes
from ffprobe.store.hdf5_errors import file_error

AUTO = "auto"
"""The name that stands for the next free one: ``run.h5``, else ``run-2.h5``, ``run-3.h5`` ..."""
PARTIAL = ".partial"
REWRITE = ".rewrite"
"""Suffix of a file that is about to become the partial file; only a kill leaves one, and it can be deleted."""

NAME_MAX = 255
"""Bytes of a file name that Linux, macOS and Windows allow."""


def rewrite_of(partial: Path) -> Path:
    """The name of a file while it is created, before it gets the partial name: ``run.h5.partial.rewrite``."""
    return partial.with_name(partial.name + REWRITE)


def is_partial(path: Path) -> bool:
    """Whether the name is that of an unfinished run."""
    return path.name.endswith(PARTIAL)


def partial_of(path: str | Path) -> Path:
    """The name of a run file until the run finishes: ``run.h5.partial``."""
    path = Path(path)
    return path if is_partial(path) else path.with_name(path.name + PARTIAL)


def final_of(path: str | Path) -> Path:
    """The name of a run file after the run has finished: ``run.h5``."""
    path = Path(path)
    return path.with_name(path.name.removesuffix(PARTIAL))


def run_file(out: str | Path) -> Path:
    """The absolute name of the run file that a user means.

    ``~`` is expanded, ``X.h5.partial`` is read as ``X.h5``, and ``auto`` is the next free name.

    Raises:
        UsageError: it cannot be the name of a file: empty, a directory, a device, or too long.
    """
    if not str(out).strip():
        raise UsageError("The run file needs a name.", hint="For example --out run.h5.")
    path = next_free(Path("run.h5")) if str(out) == AUTO else Path(out).expanduser()
    if path.is_dir() or str(out).endswith(("/", os.sep)):
        raise UsageError("This is a directory, not a file.", where=str(path), hint=f"For example {path / 'run.h5'}.")
    path = final_of(Path(os.path.abspath(path)))  # a plugin may change the working directory
    if path.exists() and not path.is_file():
        raise UsageError("This is not a regular file.", where=str(path), hint="Choose another name with --out.")
    longest = len(os.fsencode(rewrite_of(partial_of(path)).name))
    if longest > NAME_MAX:
        raise UsageError(
            f"The name is too long: {longest} bytes with the endings of an unfinished run, at most {NAME_MAX} fit.",
            where=str(path),
            hint="Choose a shorter name with --out.",
        )
    return path


def next_free(path: Path) -> Path:
    """The first of ``run.h5``, ``run-2.h5``, ``run-3.h5`` ... that no run has, finished or not."""
    names = (path.with_stem(f"{path.stem}-{number}") for number in count(2))
    return next(name for name in chain([path], names) if not name.exists() and not partial_of(name).exists())


def another_name(path: Path) -> str:
    """The beginning of a hint: which free name to use instead."""
    free = next_free(path)
    return f"Use --out {shlex.quote(free.name if free.parent == Path.cwd() else str(free))} or --out {AUTO}"


def refuse_finished(path: Path, overwrite: bool) -> None:
    """Raise UsageError if a finished file exists and must not be replaced."""
    if path.exists() and not overwrite:
        raise UsageError(
            "There is already a finished run file of this name.",
            where=str(path),
            hint=f"{another_name(path)}, or --overwrite to replace it when this run finishes.",
        )


def claim(partial: Path, overwrite: bool) -> tuple[Path, FileLock, FileLock | None]:
    """Create and lock an empty file that will replace the unfinished file once everything is created in it.

    Until then the unfinished file does not exist, or is the previous one, so that a kill never leaves an unreadable
    file under this name.

    Returns:
        The file's name, its lock, and the lock of the unfinished file to be replaced, if there is one.

    Raises:
        UsageError: there is an unfinished file and it must not be discarded.
        FileError: another process is writing, or the file cannot be created.
    """
    new = rewrite_of(partial)
    lock = fresh(new)
    try:
        if not partial.exists():
            return new, lock, None
        old = FileLock(partial)  # raises if its writer is alive
        if overwrite:
            return new, lock, old
        old.close()
        raise UsageError(
            "There is already an unfinished run file of this name.",
            where=str(partial),
            hint="Use --resume to continue it, or --overwrite to discard it.",
        )
    except BaseException:
        new.unlink(missing_ok=True)
        lock.close()
        raise


def fresh(path: Path) -> FileLock:
    """Create and lock an empty file; a file of that name from a killed process is deleted first.

    Raises:
        FileError: the process that created the existing file is alive, or the file cannot be created.
    """
    try:
        return FileLock(path, create=True)
    except FileExistsError:
        pass
    leftover = FileLock(path)  # raises if its writer is alive
    try:
        if not leftover.is_at(path):
            raise another_writes(path)
        path.unlink()
        return FileLock(path, create=True)
    except FileExistsError as error:
        raise another_writes(path) from error
    except OSError as error:
        raise file_error(error, path, "The unfinished run file could not be replaced") from error
    finally:
        leftover.close()
