"""Repairs the unfinished file of a killed run, so that every program can read it."""

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
    """Rewrite the committed part of a killed run's file as a cleanly closed file.

    The new file opens in h5py, xarray and netCDF4, and `ffprobe run --resume` still resumes it. It stays a
    ``.partial``, even if it contains every epoch: the file gets its final name when the run finishes, by ``--resume``.

    Args:
        partial: ``run.h5.partial``.
        out: path of the repaired file, which must also end in ``.partial``; None replaces ``partial`` itself, in one
            step at the end.

    Returns:
        The path of the repaired file.

    Raises:
        UsageError: a name is not that of an unfinished file, or ``out`` exists.
        FileError: the file cannot be read, its writer is still alive, or the new file cannot be written.
    """
    partial = Path(partial)
    target = partial if out is None else Path(out)
    _check_names(partial, target, out is not None)
    lock = FileLock(partial)
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
        lock.close()
    return target


def _check_names(partial: Path, target: Path, is_new: bool) -> None:
    if not partial.exists():
        raise FileError("There is no such unfinished file.", where=str(partial), hint="Check the spelling of the path.")
    if not is_partial(partial):
        raise UsageError(
            "Only an unfinished file can be repaired.", where=str(partial), hint=f"Its name must end in {PARTIAL}."
        )
    if not is_partial(target):
        raise UsageError(
            f"A repaired file is still unfinished, so its name must end in {PARTIAL}.",
            where=str(target),
            hint=f"Name it {target.name}{PARTIAL}.",
        )
    if is_new and target.exists():
        raise UsageError("The output file already exists.", where=str(target), hint="Choose another name.")
