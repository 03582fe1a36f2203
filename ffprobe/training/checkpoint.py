"""The state of a run between two epochs, in a file beside the run file: plain arrays and JSON, no pickle.

``run.h5.checkpoint`` is an ``.npz``: every tensor is an array of its own, and ``tree`` is a JSON text that says where
each belongs. It is written under another name, synced and renamed, so that a kill leaves the old one or the new one.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ffprobe.errors import FileError
from ffprobe.store.plain_arrays import read_arrays

SUFFIX = ".checkpoint"
LARGEST = 16 << 30
"""Bytes that a checkpoint may declare; a larger one is refused before anything is read."""


def checkpoint_of(out: Path) -> Path:
    """The checkpoint's name for the run file ``out``."""
    return out.with_name(out.name + SUFFIX)


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write nested dicts and lists of tensors, numbers, texts, booleans and None, atomically.

    Raises:
        FileError: it cannot be written; an earlier checkpoint is then untouched.
        TypeError: something in it is neither of these.
    """
    arrays: dict[str, np.ndarray] = {}
    tree = _take(state, arrays)
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("wb") as file:
            np.savez(file, tree=np.array(json.dumps(tree)), **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise FileError(
            f"The checkpoint could not be written: {error.strerror}.",
            where=str(path),
            hint="Epochs committed before are safe; --resume goes on from the checkpoint before.",
        ) from error


def read_checkpoint(path: Path, limit: int = LARGEST) -> dict[str, Any]:
    """What ``write_checkpoint`` wrote.

    Raises:
        FileError: missing, damaged, holding objects, or declaring more than ``limit`` bytes.
    """
    hint = "Delete it and start the run again with --overwrite; the partial keeps what was committed."
    arrays = read_arrays(path, limit, "checkpoint", hint)
    try:
        state = _give(json.loads(str(arrays.pop("tree"))), arrays)
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        told = f"{type(error).__name__}: {error}"
        raise FileError(f"This is not a readable checkpoint: {told}.", where=str(path), hint=hint) from error
    if not isinstance(state, dict):
        raise FileError("The checkpoint holds no state.", where=str(path))
    return state


def _take(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, torch.Tensor):
        name = f"a{len(arrays)}"
        arrays[name] = value.detach().cpu().numpy()
        return {"array": name}
    if isinstance(value, dict):
        # keys may be whole numbers (torch's optimizers), which JSON objects cannot have
        return {"dict": [[key, _take(item, arrays)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [_take(item, arrays) for item in value]}
    if value is None or isinstance(value, bool | int | str):
        return {"value": value}
    if isinstance(value, float):
        return {"value": value} if math.isfinite(value) else {"float": repr(value)}
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__}")


def _give(tree: Any, arrays: dict[str, np.ndarray]) -> Any:
    ((kind, value),) = tree.items()
    if kind == "array":
        return torch.from_numpy(arrays[value])
    if kind == "dict":
        return {key: _give(item, arrays) for key, item in value}
    if kind == "list":
        return [_give(item, arrays) for item in value]
    if kind == "float":
        return float(value)
    if kind == "value":
        return value
    raise ValueError(f"unknown entry {kind!r}")
