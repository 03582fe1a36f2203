"""A first look at a finished run file: its config and a few numbers, without listing what else it contains.

``open_run`` reads all attributes and checks more of the file, which takes four times as long: too long for a list of a
thousand runs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ffprobe.errors import FileError
from ffprobe.store.attributes import plain
from ffprobe.store.caps import MAX_GROWING
from ffprobe.store.commits import CHECKSUM, DIMENSION, LENGTH, row_checksum
from ffprobe.store.contents import contents
from ffprobe.store.hdf5_errors import HDF5_FAILURES
from ffprobe.store.layout import LOCKING
from ffprobe.store.renamed_settings import current_names
from ffprobe.store.schema import FORMAT
from ffprobe.store.text_labels import read_text


@dataclass(frozen=True)
class Glance:
    """What a first look at a finished run file gives.

    Attributes:
        config: the resolved config, with the current names of settings.
        created_utc: when the run began, as text; empty if the file does not contain it.
        epochs: number of epochs done.
        test: test accuracy by the run's evaluator as a fraction; NaN if the test set was not evaluated.
        validation: validation accuracy by the run's evaluator as a fraction; NaN if it was not measured.
        seconds: wall time of the run; NaN if the file does not contain it.
    """

    config: Mapping[str, Any]
    created_utc: str
    epochs: int
    test: float
    validation: float
    seconds: float


def glance(path: Path) -> Glance | None:
    """Look at a finished run file.

    Returns:
        None if the file cannot be opened or anything in it is not as a writer leaves it; ``open_run`` then opens it or
        explains what is wrong.
    """
    try:
        with h5py.File(path, "r", locking=LOCKING) as file:
            return _glance(file)
    except (*HDF5_FAILURES, TypeError, IndexError, RecursionError, FileError):
        return None


def _glance(file: h5py.File) -> Glance | None:
    if _attribute(file, "ffprobe_format") != FORMAT:
        return None
    config = current_names(json.loads(str(_attribute(file, "config_json"))))
    record, final = contents(file, "commit").datasets, contents(file, "final").datasets
    width = record[DIMENSION].shape[0]
    if width > MAX_GROWING or record[LENGTH].shape[1:] != (width,) or record[CHECKSUM].ndim != 1:
        return None
    last = np.asarray(record[LENGTH][-1], dtype="i8")
    if row_checksum(last) != record[CHECKSUM][-1]:
        return None
    names = [str(name) for name in read_text(DIMENSION, record[DIMENSION])]
    return Glance(
        config,
        str(_attribute(file, "created_utc") or ""),
        int(last[names.index("metrics/epoch")]),
        _number(final["final/model_test_accuracy"]),
        _number(final["final/model_validation_accuracy"]),
        _number(final["final/wall_time"]) if "final/wall_time" in final else math.nan,
    )


def _attribute(file: h5py.File, name: str) -> object | None:
    """A scalar attribute; None if there is none, or if it is an array, which may be large."""
    if name not in file.attrs or file.attrs.get_id(name).shape != ():
        return None
    return plain(file.attrs[name])


def _number(dataset: h5py.Dataset) -> float:
    if dataset.shape != ():
        raise ValueError(f"{dataset.name} is not one number.")
    return float(dataset[()])
