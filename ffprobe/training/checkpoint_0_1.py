"""Reads checkpoints of version 0.1.0: an ``.npz`` whose entry ``tree`` describes, as JSON, where each array belongs.

This format is no longer written. It is read so that unfinished runs of version 0.1.0 can be resumed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ffprobe.errors import FileError
from ffprobe.store.plain_arrays import read_arrays
from ffprobe.store.renamed_settings import current_names


def is_version_0_1(members: Sequence[str]) -> bool:
    """Whether an archive with these members is a checkpoint of version 0.1.0."""
    return "tree.npy" in members


def read_version_0_1(path: Path, limit: int, hint: str) -> dict[str, Any]:
    """Read the state and translate it to the current names.

    Args:
        path: path of the checkpoint.
        limit: maximum uncompressed size, in bytes.
        hint: hint of the errors.

    Raises:
        FileError: the file is damaged, contains other objects, or declares more than ``limit`` bytes.
    """
    arrays = read_arrays(path, limit, "checkpoint", hint)
    try:
        state = _build(json.loads(str(arrays.pop("tree"))), arrays)
        environment = state.pop("circumstances")
        environment["config"] = current_names(environment["config"])
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise FileError(f"This is not a readable checkpoint: {reason}.", where=str(path), hint=hint) from error
    return {**state, "environment": environment}


def _build(tree: Any, arrays: dict[str, np.ndarray]) -> Any:
    ((kind, value),) = tree.items()
    if kind == "array":
        return torch.from_numpy(arrays[value])
    if kind == "dict":
        return {key: _build(item, arrays) for key, item in value}
    if kind == "list":
        return [_build(item, arrays) for item in value]
    if kind == "float":
        return float(value)
    if kind == "value":
        return value
    raise ValueError(f"unknown entry {kind!r}")
