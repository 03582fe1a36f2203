"""What the disk and HDF5 say when something fails, told as one of our own errors."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ffprobe.errors import FileError

HDF5_FAILURES = (OSError, RuntimeError, ValueError, KeyError)
"""What h5py raises when the library below it fails: it picks the class by HDF5's internal error code."""

_RESUME = "What was committed is safe, and `ffprobe run --resume` goes on from there."

_SAID: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("no space is left on the disk", "Free some space."),
    errno.EDQUOT: ("the disk quota is used up", "Free some space."),
    errno.EFBIG: ("the file may not grow any further, by a limit on the size of files", "Raise it."),
    errno.EIO: ("the disk reports an input/output error", "Check the disk or the network share."),
    errno.EROFS: ("the file system is read-only", "Choose another place with --out."),
    errno.ENOENT: ("there is no such file or directory", "Check the spelling, or create the directory first."),
    errno.ENOTDIR: ("a part of its path is a file, not a directory", "Choose another place with --out."),
    errno.EISDIR: ("it is a directory", "Name a file inside it."),
    errno.EACCES: ("permission is denied", "Choose another place, or change the permissions."),
    errno.EPERM: ("permission is denied", "Choose another place, or change the permissions."),
    errno.EAGAIN: ("another process has it open for writing", "Wait until that run ends, or choose another name."),
}


def errno_of(error: BaseException) -> int | None:
    """The operating system's error number; HDF5 hides it in the text of its message."""
    number = getattr(error, "errno", None)
    if number is None and (found := re.search(r"errno = (\d+)", str(error))):
        number = int(found.group(1))
    return number


def file_error(error: BaseException, path: Path | str, doing: str, *, resumable: bool = False) -> FileError:
    """Tell a failure of the disk or of HDF5 in one sentence.

    Args:
        error: what was raised.
        path: the file it was about.
        doing: what was tried, as in "The run file could not be written".
        resumable: whether earlier commits are in the file, which is then said too.

    Returns:
        The error to raise.
    """
    said, hint = _SAID.get(errno_of(error) or 0, ("", ""))
    if not said:
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return FileError(f"{doing}: {said}.", where=str(path), hint=f"{hint} {_RESUME}".strip() if resumable else hint)


@contextmanager
def told(path: Path, doing: str, *, resumable: bool = False) -> Iterator[None]:
    """Turn whatever HDF5 or the disk raises inside into a FileError about the path."""
    try:
        yield
    except HDF5_FAILURES as error:
        raise file_error(error, path, doing, resumable=resumable) from error
