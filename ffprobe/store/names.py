"""The names of a run file, and who may take them.

``run.h5.partial.rewrite`` while it is laid out, ``run.h5.partial`` until the run finishes, then ``run.h5``.
"""

from __future__ import annotations

from pathlib import Path

from ffprobe.errors import UsageError
from ffprobe.store.file_lock import FileLock, another_writes
from ffprobe.store.hdf5_errors import file_error

PARTIAL = ".partial"
REWRITE = ".rewrite"
"""Ends the name of a file that is about to become the partial one; left behind only by a kill, and then worthless."""


def rewrite_of(partial: Path) -> Path:
    """The name under which a file is laid out before it takes the partial one's: ``run.h5.partial.rewrite``."""
    return partial.with_name(partial.name + REWRITE)


def is_partial(path: Path) -> bool:
    """Whether the name says that the run had not finished."""
    return path.name.endswith(PARTIAL)


def partial_of(path: str | Path) -> Path:
    """The name a run file has until the run finishes: ``run.h5.partial``."""
    path = Path(path)
    return path if is_partial(path) else path.with_name(path.name + PARTIAL)


def final_of(path: str | Path) -> Path:
    """The name a run file has once the run has finished: ``run.h5``."""
    path = Path(path)
    return path.with_name(path.name.removesuffix(PARTIAL))


def refuse_finished(path: Path, overwrite: bool) -> None:
    """Raise UsageError when there is a finished file and it may not be replaced."""
    if path.exists() and not overwrite:
        raise UsageError(
            "There is already a finished run file of this name.",
            where=str(path),
            hint="Choose another name with --out, or --overwrite replaces it when this run finishes.",
        )


def claim(partial: Path, overwrite: bool) -> tuple[Path, FileLock, FileLock | None]:
    """Make the empty file that will take the unfinished one's name once it is laid out, and hold it for this process.

    Until then there is no unfinished file, or the one before it, so that a kill leaves none that cannot be read.

    Returns:
        The file's name, the right to write it, and that of the unfinished file to be replaced, if there is one.

    Raises:
        UsageError: there is an unfinished file and it may not be thrown away.
        FileError: a writer is alive, or the place cannot be written.
    """
    new = rewrite_of(partial)
    hold = fresh(new)
    try:
        if not partial.exists():
            return new, hold, None
        old = FileLock(partial)  # refuses when its writer is alive
        if overwrite:
            return new, hold, old
        old.close()
        raise UsageError(
            "There is already an unfinished run file of this name.",
            where=str(partial),
            hint="--resume goes on with it, --overwrite throws it away.",
        )
    except BaseException:
        new.unlink(missing_ok=True)
        hold.close()
        raise


def fresh(path: Path) -> FileLock:
    """Make an empty file and hold it; one of that name that a killed process left is thrown away.

    Raises:
        FileError: the process that makes it is alive, or the place cannot be written.
    """
    try:
        return FileLock(path, create=True)
    except FileExistsError:
        pass
    left = FileLock(path)  # refuses when its writer is alive
    try:
        if not left.is_at(path):
            raise another_writes(path)
        path.unlink()
        return FileLock(path, create=True)
    except FileExistsError as error:
        raise another_writes(path) from error
    except OSError as error:
        raise file_error(error, path, "The unfinished run file could not be replaced") from error
    finally:
        left.close()
