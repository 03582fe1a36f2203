"""The bytes of a user's text files, or of the standard library's own sources."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import ffprobe


def text_bytes(data_dir: Path | None, pattern: str, max_megabytes: float) -> bytes:
    """The content of all files, one after the other, sorted by their paths.

    Args:
        data_dir: a file, a folder, or None for the modules of Python's standard library that are one file.
        pattern: which files of a folder, as ``Path.glob`` reads it.
        max_megabytes: maximum size of all files together, in megabytes (1e6 bytes).

    Raises:
        UsageError: the pattern leaves the folder.
        FileError: no file matches, one cannot be read, or they are too large together.
    """
    if data_dir is None:
        return _joined(standard_library(), max_megabytes)
    root = Path(data_dir).expanduser()
    if root.is_file():
        return _joined([root], max_megabytes)
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts or not pattern:
        raise ffprobe.UsageError(
            f"The setting 'dataset.pattern' cannot be {pattern!r}: it selects files below --data-dir.",
            hint='For example --set dataset.pattern="**/*.py".',
        )
    files = [path for path in root.glob(pattern) if path.is_file()] if root.is_dir() else []
    if not files:
        raise ffprobe.FileError(
            f"No file in {root} matches {pattern}.", hint="Correct --data-dir, or --set dataset.pattern=PATTERN."
        )
    return _joined(sorted(files, key=lambda path: path.relative_to(root).as_posix()), max_megabytes)


def standard_library() -> list[Path]:
    """The modules of Python's standard library that are one file; those that its build adds are no part of it."""
    folder = Path(sysconfig.get_path("stdlib"))
    files = sorted(path for path in folder.glob("*.py") if path.stem in sys.stdlib_module_names)
    if not files:
        hint = "Name your own text: --data-dir FILE_OR_FOLDER."
        raise ffprobe.FileError(f"This Python has no sources of its standard library in {folder}.", hint=hint)
    return files


def _joined(files: Iterable[Path], max_megabytes: float) -> bytes:
    files = list(files)
    try:
        size = sum(os.path.getsize(path) for path in files)
        if size > max_megabytes * 1e6:
            raise ffprobe.FileError(
                f"The text has {size / 1e6:.0f} megabytes; the maximum is {max_megabytes:g}.",
                hint="Name fewer files, or raise --set dataset.max_megabytes.",
            )
        return b"".join(path.read_bytes() for path in files)
    except OSError as error:
        what = f"{error.filename} cannot be read: {error.strerror}."
        raise ffprobe.FileError(what, hint="Check its permissions, or leave it out.") from error
