"""The checkpoint: the state of a run between two epochs, in a file next to the run file.

``run.h5.checkpoint`` is written by ``torch.save`` and read by ``torch.load(weights_only=True)``, which builds tensors
and plain containers and never runs code from the file. It is written under a temporary name, synced and renamed, so a
killed process leaves either the old or the new checkpoint, never a partial one.
"""

from __future__ import annotations

import contextlib
import os
import zipfile
from pathlib import Path
from typing import Any

import torch

from ffprobe.errors import FileError
from ffprobe.training.checkpoint_0_1 import is_version_0_1, read_version_0_1

SUFFIX = ".checkpoint"
LARGEST = 16 << 30
"""The maximum uncompressed size of a checkpoint, in bytes; a larger one is refused before any array is read."""

HINT = "Delete it and start the run again with --overwrite; the partial file keeps the committed epochs."
_PLAIN = (bool, int, float, str, type(None))


def checkpoint_of(out: Path) -> Path:
    """The path of the checkpoint of the run file ``out``."""
    return out.with_name(out.name + SUFFIX)


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically.

    Args:
        path: path of the checkpoint.
        state: nested dicts, lists and tuples of tensors (any dtype), numbers, strings, booleans and None. Keys are
            strings or integers.

    Raises:
        FileError: the file cannot be written; the previous checkpoint is then unchanged.
        TypeError: the state contains a value of another type, which could not be read back.
    """
    _check(state, "state")
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.unlink(missing_ok=True)  # left by a killed process; a link is removed, its target is not
        with fresh.open("xb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise FileError(
            f"The checkpoint could not be written: {reason}.",
            where=str(path),
            hint="Committed epochs are never lost; --resume continues from the last checkpoint.",
        ) from error


def read_checkpoint(path: Path, limit: int = LARGEST) -> dict[str, Any]:
    """Read a checkpoint written by ``write_checkpoint`` or by version 0.1.0.

    Args:
        path: path of the checkpoint.
        limit: maximum uncompressed size, in bytes.

    Returns:
        The state, with all tensors on the CPU.

    Raises:
        FileError: the file is missing, damaged, contains other objects, or declares more than ``limit`` bytes.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            declared = sum(info.file_size for info in archive.infolist())
            names = archive.namelist()
            if declared > limit:
                raise FileError(f"The checkpoint declares {declared} bytes; the limit is {limit}.", where=str(path))
            if is_version_0_1(names):
                return read_version_0_1(path, limit, HINT)
            if declared > path.stat().st_size:  # torch.save compresses nothing
                raise FileError(f"The checkpoint declares {declared} bytes, more than the file has.", where=str(path))
            if damaged := archive.testzip():
                raise ValueError(f"{damaged} does not match its checksum")
            file.seek(0)
            state = torch.load(file, map_location="cpu", weights_only=True)  # a file, since its name may not be UTF-8
    except FileError:
        raise
    except FileNotFoundError as error:
        raise FileError("There is no checkpoint.", where=str(path), hint=HINT) from error
    except Exception as error:  # a damaged or hostile file can cause any exception
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no details'}"
        raise FileError(f"This is not a readable checkpoint: {reason}", where=str(path), hint=HINT) from error
    if not isinstance(state, dict):
        raise FileError("The checkpoint contains no state.", where=str(path), hint=HINT)
    return state


def _check(value: Any, where: str) -> None:
    # torch.save pickles any object, but torch.load(weights_only=True) then refuses the whole file
    if isinstance(value, torch.Tensor) or type(value) in _PLAIN:
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) not in (str, int):
                raise TypeError(f"a checkpoint cannot contain the key {key!r} of type {type(key).__name__} at {where}")
            _check(item, f"{where}.{key}")
        return
    if type(value) in (list, tuple):
        for index, item in enumerate(value):
            _check(item, f"{where}[{index}]")
        return
    raise TypeError(f"a checkpoint cannot contain {type(value).__name__} at {where}")
