"""The two names of a run file, and who may take them: ``run.h5.partial`` until the run finishes, then ``run.h5``."""

from __future__ import annotations

from pathlib import Path

from ffprobe.errors import UsageError
from ffprobe.store.faults import file_error
from ffprobe.store.hold import Hold

PARTIAL = ".partial"
REWRITE = ".rewrite"
"""Ends the name of a file that is about to replace a partial one; left behind only by a kill, and then worthless."""


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
            do="Choose another name with --out, or --overwrite replaces it when this run finishes.",
        )


def claim(partial: Path, overwrite: bool) -> Hold:
    """Make the unfinished file, empty, and hold it for this process.

    Raises:
        UsageError: it is there already and may not be thrown away.
        FileError: its writer is alive, or the place cannot be written.
    """
    try:
        return Hold(partial, create=True)
    except FileExistsError:
        pass
    old = Hold(partial)  # refuses when its writer is alive
    try:
        if not overwrite:
            raise UsageError(
                "There is already an unfinished run file of this name.",
                where=str(partial),
                do="--resume goes on with it, --overwrite throws it away.",
            )
        partial.unlink()
        return Hold(partial, create=True)
    except OSError as error:
        raise file_error(error, partial, "The unfinished run file could not be replaced") from error
    finally:
        old.close()
