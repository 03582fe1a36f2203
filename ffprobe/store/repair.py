"""Makes the unfinished file of a killed run readable by every program again."""

from __future__ import annotations

import os
from pathlib import Path

from ffprobe.errors import FileError, UsageError
from ffprobe.store.file_lock import FileLock, sync_directory
from ffprobe.store.hdf5_errors import HDF5_FAILURES, file_error
from ffprobe.store.names import PARTIAL, fresh, is_partial, rewrite_of
from ffprobe.store.reader import open_run
from ffprobe.store.rewrite import rewritten


def repair(partial: str | Path, out: str | Path | None = None) -> Path:
    """Rewrite what a killed run had committed as a cleanly closed file.

    The new file opens in h5py, xarray and netCDF4, and `ffprobe run --resume` goes on with it as before. It stays a
    ``.partial``, even if every epoch is there: only a run that finished itself gets the final name, by ``--resume``.

    Args:
        partial: ``run.h5.partial``.
        out: where to; None replaces ``partial`` itself, in one step at the end. Its name must end in ``.partial`` too.

    Returns:
        The repaired file.

    Raises:
        UsageError: a name is not that of an unfinished file, or ``out`` exists.
        FileError: nothing can be read from it, its writer is still alive, or the new file cannot be written.
    """
    partial = Path(partial)
    target = partial if out is None else Path(out)
    _check_names(partial, target, out is not None)
    hold = FileLock(partial)
    rewrite = rewrite_of(target)
    try:
        with open_run(partial, held_here=True) as source:
            new = fresh(rewrite)
            try:
                new.reserve(partial.stat().st_size)
                rewritten(source, rewrite).close()
                new.sync()
                os.replace(rewrite, target)
            except BaseException:
                rewrite.unlink(missing_ok=True)
                raise
            finally:
                new.close()
        sync_directory(target.parent)
    except HDF5_FAILURES as error:
        raise file_error(error, rewrite, "The repaired file could not be written") from error
    finally:
        hold.close()
    return target


def _check_names(partial: Path, target: Path, asked: bool) -> None:
    if not partial.exists():
        raise FileError("There is no such unfinished file.", where=str(partial), hint="Check the spelling of the path.")
    if not is_partial(partial):
        raise UsageError(
            "Only an unfinished file needs repair.", where=str(partial), hint=f"Its name would end in {PARTIAL}."
        )
    if not is_partial(target):
        raise UsageError(
            "A repaired file is still unfinished, and its name must say so.",
            where=str(target),
            hint=f"Name it {target.name}{PARTIAL}.",
        )
    if asked and target.exists():
        raise UsageError("The file to write exists already.", where=str(target), hint="Choose another name.")
