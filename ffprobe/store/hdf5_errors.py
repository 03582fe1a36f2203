"""Translation of errors of the disk and of HDF5 into FileError."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ffprobe.errors import FileError

HDF5_FAILURES = (OSError, RuntimeError, ValueError, KeyError)
"""The exceptions that h5py raises when HDF5 fails: it chooses the class by HDF5's internal error code."""

_RESUME = "Committed epochs are safe; resume from the last one with `ffprobe run --resume`."

_MESSAGES: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("no space is left on the disk", "Free some space."),
    errno.EDQUOT: ("the disk quota is used up", "Free some space."),
    errno.EFBIG: ("the file has reached the limit on file sizes", "Raise the limit (ulimit -f)."),
    errno.EIO: ("the disk reports an input/output error", "Check the disk or the network share."),
    errno.EROFS: ("the file system is read-only", "Choose another location with --out."),
    errno.ENOENT: ("there is no such file or directory", "Check the spelling, or create the directory first."),
    errno.ENOTDIR: ("a part of its path is a file, not a directory", "Choose another location with --out."),
    errno.EISDIR: ("it is a directory", "Name a file inside it."),
    errno.EACCES: ("permission is denied", "Choose another location, or change the permissions."),
    errno.EPERM: ("permission is denied", "Choose another location, or change the permissions."),
    errno.EAGAIN: ("another process has it open for writing", "Wait until that run ends, or choose another name."),
}


def errno_of(error: BaseException) -> int | None:
    """The operating system's error number; HDF5 gives it only in the text of its message."""
    number = getattr(error, "errno", None)
    if number is None and (match := re.search(r"errno = (\d+)", str(error))):
        number = int(match.group(1))
    return number


def file_error(error: BaseException, path: Path | str, failure: str, *, resumable: bool = False) -> FileError:
    """A FileError with one sentence for an error of the disk or of HDF5.

    Args:
        error: the original exception.
        path: the file that the operation was on.
        failure: beginning of the message, such as "The run file could not be written".
        resumable: whether the file has earlier commits; the hint then mentions ``--resume``.

    Returns:
        The error to raise.
    """
    reason, hint = _MESSAGES.get(errno_of(error) or 0, ("", ""))
    if not reason:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return FileError(f"{failure}: {reason}.", where=str(path), hint=f"{hint} {_RESUME}".strip() if resumable else hint)


@contextmanager
def as_file_error(path: Path, failure: str, *, resumable: bool = False) -> Iterator[None]:
    """Turn any error that HDF5 or the disk raises inside the block into a FileError about the path.

    A FileError that does not name its file gets the path.
    """
    try:
        yield
    except FileError as error:
        error.where = error.where or str(path)
        raise
    except HDF5_FAILURES as error:
        raise file_error(error, path, failure, resumable=resumable) from error
