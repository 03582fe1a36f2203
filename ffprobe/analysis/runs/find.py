"""Finds run files in and below directories."""

from __future__ import annotations

import os
from pathlib import Path

from ffprobe.errors import FileError
from ffprobe.store.hdf5_errors import file_error
from ffprobe.store.names import PARTIAL, final_of, partial_of

ENDING = ".h5"


def find_runs(*paths: str | Path) -> list[Path]:
    """All run files among some paths, each once: files that are named, and those in and below directories.

    In a directory, names that end in ``.h5`` (finished) or ``.h5.partial`` (unfinished) count; they are sorted by path
    and not opened. Hidden directories, and links to directories, are not entered. Of a named run that has not finished,
    the unfinished file is returned.

    Raises:
        FileError: there is no such file or directory, or the directory cannot be read.
    """
    files: dict[str, Path] = {}
    for path in map(Path, paths):
        # unlike those of Path, the tests of os.path are False for a name that is too long
        if os.path.isdir(path):
            found = _below(path)
        elif os.path.exists(path):
            found = [path]
        elif os.path.exists(partial_of(path)):
            found = [partial_of(path)]
        else:
            hint = "Check the spelling of the path."
            raise FileError("There is no such file or directory.", where=str(path), hint=hint)
        for file in found:
            files.setdefault(os.path.abspath(file), file)
    return list(files.values())


def _below(directory: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        if error.filename == str(directory):  # a directory below it that cannot be read is skipped
            raise file_error(error, directory, "The directory could not be read") from error

    files = []
    for folder, folders, names in os.walk(directory, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(folder, name) for name in names if name.removesuffix(PARTIAL).endswith(ENDING)]
    return sorted(files)


def current_name(path: Path) -> Path:
    """The name of a run file now: a run that finishes renames its unfinished file."""
    return final_of(path) if not path.exists() and final_of(path).exists() else path
