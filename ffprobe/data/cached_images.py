"""A user's own pictures as a data set, decoded once and then read from the cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ffprobe.data.cache import cached_arrays
from ffprobe.data.images import Images, channel_statistics
from ffprobe.data.picture_tree import SPLITS, Split, folder_names, read_picture_tree
from ffprobe.errors import FileError

if TYPE_CHECKING:
    import numpy as np


def cached_images(path: Path, max_bytes: int) -> dict[Split, Images]:
    """Both splits of a folder or tar of ``train/CLASS/*`` and ``test/CLASS/*``; see ``read_picture_tree``.

    The pictures are decoded again when the tar, or the name, size or time of change of a file in the folder, is new.

    Args:
        path: the folder or tar.
        max_bytes: the most that the decoded pictures may take.

    Returns:
        ``train`` and ``test``, with mean and standard deviation of the training images in both.

    Raises:
        FileError: there is nothing at ``path``, or it does not hold a data set; the message names what is wrong.
    """
    import torch

    arrays = cached_arrays("images", _key(path), lambda: _decode(path, max_bytes))
    classes = tuple(str(name) for name in arrays["classes"])
    pixels = {split: torch.from_numpy(arrays[f"{split}_pixels"]) for split in SPLITS}
    mean, std = channel_statistics(pixels["train"])
    return {
        split: Images(pixels[split], torch.from_numpy(arrays[f"{split}_labels"]), classes, mean, std)
        for split in SPLITS
    }


def _key(path: Path) -> tuple[object, ...]:
    import PIL

    try:
        names = folder_names(path) if path.is_dir() else [""]
        seen = [(name, (path / name).stat().st_size, (path / name).stat().st_mtime_ns) for name in names]
    except OSError as error:
        told = f"{error.filename or path} cannot be read: {error.strerror}."
        raise FileError(told, do="Check the path given with --data-dir.") from error
    # decoders differ in the last bit from one Pillow to the next
    return str(path.resolve()), seen, PIL.__version__


def _decode(path: Path, max_bytes: int) -> dict[str, np.ndarray]:
    import numpy as np

    tree = read_picture_tree(path, max_bytes)
    arrays = {f"{split}_pixels": tree.pixels[split] for split in SPLITS}
    arrays |= {f"{split}_labels": tree.labels[split] for split in SPLITS}
    return {**arrays, "classes": np.array(tree.classes, dtype=np.str_)}
