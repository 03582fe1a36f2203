"""Arrays that a program hands in, as inputs, labels and class names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ffprobe.data.array_inputs import array_inputs
from ffprobe.errors import FileError, UsageError


def inputs_of(values: Any) -> torch.Tensor:
    """The inputs of samples as ``ffprobe.Samples`` stores them.

    ``array_inputs`` says how dtype and shape are read.

    Args:
        values: a numpy array, a tensor, a table of pandas, or nested lists.

    Raises:
        UsageError: the values are no numbers, or have another number of axes.
    """
    array = np.array(_array(values, "The inputs"))  # a copy: the program may change its own array
    try:
        return array_inputs(array)
    except FileError as error:
        hint = "For tokens, give an ffprobe.Samples with its vocabulary."
        raise UsageError(error.what, hint=f"{error.hint} {hint}") from error


def labels_of(values: Any) -> np.ndarray:
    """The labels of samples, ``[N]``, of any sortable type.

    Raises:
        UsageError: they have another shape, or are real numbers: there is no regression here.
    """
    array = _array(values, "The labels", text=True)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise UsageError(
            f"The labels have the shape {list(array.shape)}; one label for each sample is needed.",
            hint="Turn one-hot rows into labels with .argmax(axis=1).",
        )
    if array.dtype.kind == "f":
        if not bool(np.isfinite(array).all() and (array == np.round(array)).all()):
            raise UsageError(
                "The labels are real numbers, but ffprobe trains classifiers only.",
                hint="Divide them into classes, for example with numpy.digitize. Regression has no published local "
                "objective that could be compared fairly.",
            )
        array = array.astype(np.int64)
    return array


def class_indices(labels: np.ndarray, classes: Sequence[Any], part: str) -> torch.Tensor:
    """The index of each label among ``classes``, which are sorted.

    Raises:
        UsageError: a label is none of them.
    """
    known = np.asarray(classes)
    found = np.isin(labels, known)
    if not bool(found.all()):
        raise UsageError(f"The {part} labels contain {labels[~found].tolist()[0]!r}, which no training label is.")
    return torch.from_numpy(np.searchsorted(known, labels).astype(np.int64))


def _array(values: Any, what: str, text: bool = False) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    if hasattr(values, "dtypes") and hasattr(values, "columns"):  # a table of pandas, polars ...
        bad = [str(column) for column in values.columns if values[column].to_numpy().dtype.kind not in "biuf"]
        if bad:
            raise UsageError(
                f"{what} have columns that are no numbers: {', '.join(bad[:5])}.",
                hint="Encode them first, for example with pandas.get_dummies, or use the data set csv.",
            )
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise UsageError(f"{what} are no array: {error}.", hint="All samples must have one shape.") from None
    allowed = "biuf" + ("US" if text else "")
    if array.dtype == object and text:
        array = array.astype(str)
    if array.dtype.kind not in allowed:
        raise UsageError(f"{what} must be numbers, not {array.dtype}.")
    if not array.size:
        raise UsageError(f"{what} are empty.")
    return array
