"""Labels of any type as numbers from 0, with the names of the classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ffprobe.errors import FileError

if TYPE_CHECKING:
    import numpy as np
    import torch

MAX_CLASSES = 10_000
"""Maximum number of classes; more different values are names of samples, or measurements."""


def class_labels(values: Any) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Number the classes of some labels, in sorted order: numbers by their value, texts by their characters.

    Texts that all are numbers are sorted as numbers, so that class ``10`` comes after class ``2``.

    Args:
        values: a sequence or an array ``[N]`` of texts, integers, whole floats or booleans.

    Returns:
        Labels int64 ``[N]`` from 0, and the class names in that order. A whole number has no decimal point in its name.

    Raises:
        FileError: the values are not one-dimensional, are missing, are measurements instead of classes, or are more
            than ``MAX_CLASSES`` different ones.
    """
    import numpy as np
    import torch

    array = np.asarray(values)
    if array.dtype.kind == "O" and all(isinstance(value, str) for value in array.flat):  # a column of a data frame
        array = array.astype(str)
    if array.dtype.kind not in "iubfUS" or array.ndim != 1:
        found = f"{array.dtype} {list(array.shape)}"
        raise FileError(f"Labels must be texts or whole numbers [N], not {found}.", hint="Give one label a sample.")
    kept = _whole_numbers(array) if array.dtype.kind == "f" else array
    if array.dtype.kind in "US":
        texts = array.astype(str)
        empty = np.flatnonzero(np.char.strip(texts) == "")
        if len(empty):
            raise FileError(f"Label {empty[0] + 1} is empty.", hint="Name its class, or remove the sample.")
        kept = _as_numbers(texts)
    classes, labels = np.unique(kept, return_inverse=True)
    if len(classes) > MAX_CLASSES:
        raise FileError(
            f"The labels have {len(classes)} different values; the maximum is {MAX_CLASSES} classes.",
            hint="Choose the column or the array that names the class of a sample.",
        )
    return torch.from_numpy(labels.reshape(-1).astype(np.int64)), tuple(str(value) for value in classes.tolist())


def _as_numbers(texts: np.ndarray) -> np.ndarray:
    """The texts as int64 if all of them are numbers, otherwise as they are."""
    try:
        numbers = texts.astype(float)
    except ValueError:
        return texts
    return _whole_numbers(numbers)


def _whole_numbers(numbers: np.ndarray) -> np.ndarray:
    """Floats as int64; raises FileError for a fraction or NaN."""
    import numpy as np

    broken = np.flatnonzero(~np.isfinite(numbers) | (numbers != np.round(numbers)))
    if len(broken):
        raise FileError(
            f"Label {broken[0] + 1} is {numbers[broken[0]]:g}, but a class is a text or a whole number.",
            hint="ffprobe classifies: replace measurements by classes, for example by ranges of values.",
        )
    return numbers.astype(np.int64)
