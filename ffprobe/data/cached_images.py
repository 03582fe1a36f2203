"""A user's own pictures as a data set, decoded once and read from the cache afterwards."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ffprobe.data.archive import TooLarge
from ffprobe.data.cache import cached_arrays, entry_of
from ffprobe.data.images import Images, channel_statistics
from ffprobe.data.picture_tree import OVERHEAD, SPLITS, Split, folder_names, read_picture_tree
from ffprobe.data.pictures_on_disk import read_pictures, write_pictures
from ffprobe.errors import FileError

if TYPE_CHECKING:
    import numpy as np

_FOLDER = "images"
_METADATA = 1 << 20  # maximum size of a cache entry without the pixels, in bytes


def cached_images(path: Path, max_bytes: int, max_disk_bytes: int = 0) -> dict[Split, Images]:
    """Both splits of a folder or tar of ``train/CLASS/*`` and ``test/CLASS/*``; see ``read_picture_tree``.

    The pictures are decoded again when the tar changes, or the name, size or modification time of a file in the folder.
    Pictures that take more than ``max_bytes`` stay on the disk, in the cache folder, and their pixels are read on
    demand; the results of a run do not depend on it.

    Args:
        path: the folder or tar.
        max_bytes: maximum memory of the decoded pictures, in bytes.
        max_disk_bytes: maximum size of the decoded pictures on the disk, in bytes.

    Returns:
        ``train`` and ``test``, both with the mean and standard deviation of the training images.

    Raises:
        FileError: ``path`` does not exist or does not contain a data set; the message names the problem.
    """
    key = _key(path)
    folder = entry_of(_FOLDER, key, ".pictures")
    on_disk = read_pictures(folder)
    if on_disk is None:
        try:
            return _in_memory(path, key, max_bytes)
        except TooLarge:
            if max_disk_bytes <= max_bytes:
                raise
        write_pictures(folder, path, max_disk_bytes)
        on_disk = read_pictures(folder)
        if on_disk is None:
            raise FileError(
                "The decoded pictures on the disk changed right after they were written.", where=str(folder)
            )
    needed = sum(images.pixels.shape.numel() + OVERHEAD * len(images) for images in on_disk.values())
    if needed <= max_bytes:  # the limit has been increased since
        return {k: Images(v.pixels[:], v.labels, v.classes, v.mean, v.std) for k, v in on_disk.items()}
    return on_disk


def _in_memory(path: Path, key: tuple[object, ...], max_bytes: int) -> dict[Split, Images]:
    import torch

    entry = entry_of(_FOLDER, key)
    if os.path.isfile(entry) and entry.stat().st_size > max_bytes + _METADATA:  # from a run with a higher limit
        raise TooLarge(f"The pictures in {path} take more than {max_bytes / 1e9:g} GB.")
    arrays = cached_arrays(_FOLDER, key, lambda: _decode(path, max_bytes))
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
        message = f"{error.filename or path} cannot be read: {error.strerror}."
        raise FileError(message, hint="Check the path given with --data-dir.") from error
    # decoders of different Pillow versions differ in the last bit
    return str(path.resolve()), seen, PIL.__version__


def _decode(path: Path, max_bytes: int) -> dict[str, np.ndarray]:
    import numpy as np

    tree = read_picture_tree(path, max_bytes)
    arrays = {f"{split}_pixels": tree.pixels[split] for split in SPLITS}
    arrays |= {f"{split}_labels": tree.labels[split] for split in SPLITS}
    return {**arrays, "classes": np.array(tree.classes, dtype=np.str_)}
