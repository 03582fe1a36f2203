"""A user's own pictures as a data set, decoded once and then read from the cache."""

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

_ROOM = "images"
_BESIDE = 1 << 20  # bytes that an entry of the cache may hold beside pixels


def cached_images(path: Path, max_bytes: int, max_disk_bytes: int = 0) -> dict[Split, Images]:
    """Both splits of a folder or tar of ``train/CLASS/*`` and ``test/CLASS/*``; see ``read_picture_tree``.

    The pictures are decoded again when the tar, or the name, size or time of change of a file in the folder, is new.
    Those that would take more than ``max_bytes`` stay on the disk, beside the cache, and their pixels are read as they
    are asked for; which numbers a run gets does not depend on it.

    Args:
        path: the folder or tar.
        max_bytes: the most that the decoded pictures may take in memory.
        max_disk_bytes: the most that they may take on the disk.

    Returns:
        ``train`` and ``test``, with mean and standard deviation of the training images in both.

    Raises:
        FileError: there is nothing at ``path``, or it does not hold a data set; the message names what is wrong.
    """
    key = _key(path)
    folder = entry_of(_ROOM, key, ".pictures")
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
            raise FileError("The decoded pictures changed on the disk as soon as they were written.", where=str(folder))
    needed = sum(images.pixels.shape.numel() + OVERHEAD * len(images) for images in on_disk.values())
    if needed <= max_bytes:  # the limit was raised
        return {k: Images(v.pixels[:], v.labels, v.classes, v.mean, v.std) for k, v in on_disk.items()}
    return on_disk


def _in_memory(path: Path, key: tuple[object, ...], max_bytes: int) -> dict[Split, Images]:
    import torch

    entry = entry_of(_ROOM, key)
    if os.path.isfile(entry) and entry.stat().st_size > max_bytes + _BESIDE:  # of a time with a higher limit
        raise TooLarge(f"The pictures in {path} take more than {max_bytes / 1e9:g} gigabytes.")
    arrays = cached_arrays(_ROOM, key, lambda: _decode(path, max_bytes))
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
        raise FileError(told, hint="Check the path given with --data-dir.") from error
    # decoders differ in the last bit from one Pillow to the next
    return str(path.resolve()), seen, PIL.__version__


def _decode(path: Path, max_bytes: int) -> dict[str, np.ndarray]:
    import numpy as np

    tree = read_picture_tree(path, max_bytes)
    arrays = {f"{split}_pixels": tree.pixels[split] for split in SPLITS}
    arrays |= {f"{split}_labels": tree.labels[split] for split in SPLITS}
    return {**arrays, "classes": np.array(tree.classes, dtype=np.str_)}
