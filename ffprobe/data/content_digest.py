"""A hash of the content of files, as the key of a cache."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from ffprobe.errors import FileError

_CHUNK = 1 << 20


def content_digest(path: Path, names: Sequence[str] | None = None) -> str:
    """A SHA-256 of a file's bytes, or of the names and bytes of files in a folder.

    Sizes and times are not part of it: a file can change while both stay the same, and copying changes the times but
    not the content. The time it takes is that of reading the files once.

    Args:
        path: the file, or the folder.
        names: names of the files relative to the folder, in a fixed order; None if ``path`` is a file.

    Raises:
        FileError: a file cannot be read or is not a regular file.
    """
    if names is None:
        return _of_file(path).hexdigest()
    digest = hashlib.sha256()
    for name in names:
        encoded = name.encode("utf-8", "surrogateescape")
        digest.update(b"%d:" % len(encoded) + encoded)  # with its length, so that two lists never look alike
        digest.update(_of_file(os.path.join(path, name)).digest())
    return digest.hexdigest()


def _of_file(path: str | Path) -> hashlib._Hash:
    digest = hashlib.sha256()
    try:
        # O_NONBLOCK: opening a pipe would wait for its other end
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):  # reading a device might never end
                raise FileError(f"{path} is neither a folder nor a regular file.", hint="Check the path of --data-dir.")
            while chunk := os.read(file, _CHUNK):
                digest.update(chunk)
        finally:
            os.close(file)
    except OSError as error:
        raise FileError(
            f"{path} cannot be read: {error.strerror}.", hint="Check the path given with --data-dir."
        ) from error
    return digest
