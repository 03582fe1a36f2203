"""Safe reading of the IDX format of MNIST and its variants, plain or gzip, from untrusted files."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from ffprobe.data.published import find_file
from ffprobe.errors import FileError

if TYPE_CHECKING:
    import numpy as np
    import torch

MAX_BYTES = 2**31
"""Maximum number of values in a file; MNIST's training images have 47 million."""

_CHUNK = 2**20


def idx_names(split: Literal["train", "test"]) -> list[tuple[str, ...]]:
    """The possible file names of a split's images and labels: as published, dotted (Kaggle's form), or gzip."""
    start = "train" if split == "train" else "t10k"
    kinds = (("images-idx3", "images.idx3"), ("labels-idx1", "labels.idx1"))
    stems = [(f"{start}-{kind}-ubyte", f"{start}-{dotted}-ubyte") for kind, dotted in kinds]
    return [(a, f"{a}.gz", b, f"{b}.gz") for a, b in stems]


def read_idx_split(
    folder: Path, split: Literal["train", "test"], classes: int, first_label: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and labels of one split.

    The labels of some data sets, such as EMNIST letters, start at 1. They are returned from 0 on.

    Args:
        folder: folder with the split's two files, under any of the names of ``idx_names``.
        split: ``train`` or ``test``.
        classes: number of classes.
        first_label: smallest label in the files, 0 or 1, as the mapping of the data set says. None detects it: it is 1
            if the training labels (those of ``split`` if there are no training files) are exactly 1 to ``classes``.

    Returns:
        Pixels uint8 ``[N, 1, H, W]`` and labels int64 ``[N]``.

    Raises:
        FileError: a file is missing or damaged, or the two do not match; the message names it.
    """
    import torch

    paths = []
    for names in idx_names(split):
        path = find_file(folder, names)
        if path is None:
            raise FileError(f"{folder} has no {names[0]}, plain or .gz.")
        paths.append(path)
    pixels, labels = read_idx(paths[0], 3), read_idx(paths[1], 1)
    if first_label is None:
        first_label = _detected_first_label(folder, labels, classes)
    if len(pixels) != len(labels):
        raise FileError(f"{paths[0]} has {len(pixels)} images, but {paths[1]} has {len(labels)} labels.")
    last = first_label + classes - 1
    for label in (int(labels.min()), int(labels.max())):
        if not first_label <= label <= last:
            raise FileError(
                f"{paths[1]} is damaged, or of another data set: it has the label {label}; the {classes} classes have "
                f"the labels {first_label} to {last}."
            )
    return torch.from_numpy(pixels).unsqueeze(1), torch.from_numpy(labels).long() - first_label


def _detected_first_label(folder: Path, labels: np.ndarray, classes: int) -> int:
    # by the training labels for both splits: those of a small test split may lack the classes that decide
    import numpy as np

    train = find_file(folder, idx_names("train")[1])
    present = np.unique(labels if train is None else read_idx(train, 1))
    return int(np.array_equal(present, np.arange(1, classes + 1)))


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The array of bytes in an IDX file; never reads more than the file declares.

    Args:
        path: the file, plain or gzip; the format is detected by content.
        dimensions: 3 for images, 1 for labels.

    Returns:
        A writable uint8 array with that many dimensions, none of length 0.

    Raises:
        FileError: the file is missing, truncated, too long, not IDX, or declares more than ``MAX_BYTES``.
    """
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not compressed:
                return _parse(path, raw, dimensions)
            with gzip.GzipFile(fileobj=raw) as plain:
                return _parse(path, plain, dimensions)
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(f"{path} cannot be read: {error}.", hint="Download it again.") from error


def _parse(path: Path, file: IO[bytes] | gzip.GzipFile, dimensions: int) -> np.ndarray:
    import numpy as np

    head = file.read(4 + 4 * dimensions)
    if len(head) < 4 + 4 * dimensions or head[:3] != b"\0\0\x08" or head[3] != dimensions:
        raise FileError(f"{path} is not an IDX file of bytes with {dimensions} dimension{'s'[: dimensions > 1]}.")
    shape = struct.unpack(f">{dimensions}I", head[4:])
    count = math.prod(shape)
    if not 0 < count <= MAX_BYTES:
        raise FileError(f"{path} is damaged: it declares the shape {list(shape)}.")
    body = bytearray()
    while len(body) <= count and (chunk := file.read(min(_CHUNK, count + 1 - len(body)))):
        body += chunk
    if len(body) != count:
        actual = "more" if len(body) > count else f"only {len(body)}"
        message = f"{path} is damaged: it declares {count} values but contains {actual}."
        raise FileError(message, hint="Download it again.")
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)
