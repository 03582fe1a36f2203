"""Named plain arrays in an ``.npz``, read without trusting it: checkpoints and trajectories."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from ffprobe.errors import FileError


def read_arrays(path: Path, limit: int, what: str, hint: str = "") -> dict[str, np.ndarray]:
    """Every array of an ``.npz``; nothing in it is unpickled, every member's checksum is compared.

    Args:
        path: the file.
        limit: bytes that its members may declare in all; more is refused before anything is read.
        what: what the file is called in messages: "checkpoint".
        hint: what to do when it is damaged.

    Raises:
        FileError: missing, damaged, holding objects, or larger than ``limit``.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            declared = sum(info.file_size for info in archive.infolist())
            if declared > limit:
                raise FileError(f"The {what} declares {declared} bytes, more than {limit}.", where=str(path))
            damaged = archive.testzip()
            if damaged:
                raise ValueError(f"{damaged} does not match its checksum")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileError:
        raise
    except FileNotFoundError as error:
        raise FileError(f"There is no such {what}.", where=str(path)) from error
    except Exception as error:  # zlib, zip and numpy each have their own way to say "damaged"
        told = f"{type(error).__name__}: {error}"
        raise FileError(f"This is not a readable {what}: {told}.", where=str(path), hint=hint) from error
