"""Reads the text labels of a dimension, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence

import h5py
import numpy as np

from ffprobe.errors import FileError
from ffprobe.store.caps import MAX_LABEL_TEXT

BLOCK = 32
"""Labels read at a time. Many labels may refer to one long text in the file, and each becomes a copy of it."""


def read_text(path: str, dataset: h5py.Dataset, indices: Sequence[int] | None = None) -> np.ndarray:
    """Read the texts of a one-dimensional dataset.

    Args:
        path: path of the dataset, for messages.
        dataset: the dataset, of variable-length UTF-8 strings.
        indices: increasing indices to read; None for all.

    Returns:
        An object array of str; bytes that are not UTF-8 become U+FFFD.

    Raises:
        FileError: the texts have more than ``MAX_LABEL_TEXT`` characters in all. Errors of HDF5 are not caught.
    """
    wanted: Sequence[int] = range(dataset.shape[0]) if indices is None else indices
    texts, length = np.empty(len(wanted), object), 0
    source = dataset.asstr(errors="replace")
    for start in range(0, len(wanted), BLOCK):
        part = wanted[start : start + BLOCK]
        selection = slice(part.start, part.stop, part.step) if isinstance(part, range) else list(part)
        texts[start : start + BLOCK] = block = source[selection]
        length += sum(map(len, block))
        if length > MAX_LABEL_TEXT:
            raise FileError(
                f"The labels {path} have more than {MAX_LABEL_TEXT:,} characters.",
                where=str(dataset.file.filename),
                hint="ffprobe did not write this file.",
            )
    return texts
