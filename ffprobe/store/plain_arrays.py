"""Safe reading of named plain arrays from an untrusted ``.npz`` file: checkpoints and trajectories."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from ffprobe.errors import FileError


def read_arrays(path: Path, limit: int, what: str, hint: str = "") -> dict[str, np.ndarray]:
    """Every array of an ``.npz`` file; nothing is unpickled, and every member's checksum is verified.

    Args:
        path: the file.
        limit: maximum total size of its members in bytes; a larger file is refused before anything is read.
        what: name of the kind of file in messages, such as "checkpoint".
        hint: the hint of the error for a damaged file.

    Raises:
        FileError: the file is missing, damaged, contains objects, or is larger than ``limit``.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            declared = sum(info.file_size for info in archive.infolist())
            if declared > limit:
                message = f"The {what} declares {declared} bytes; the maximum is {limit}."
                raise FileError(message, where=str(path))
            damaged = archive.testzip()
            if damaged:
                raise ValueError(f"{damaged} does not match its checksum")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileError:
        raise
    except FileNotFoundError as error:
        raise FileError(f"There is no such {what}.", where=str(path)) from error
    except Exception as error:  # zlib, zip and numpy raise different exceptions for damaged files
        reason = f"{type(error).__name__}: {error}"
        raise FileError(f"This is not a readable {what}: {reason}.", where=str(path), hint=hint) from error
