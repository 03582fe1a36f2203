"""Decoded pictures that do not fit into memory: arrays on the disk, created once."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ffprobe.data.images import Images, statistics_of_counts
from ffprobe.data.picture import Background
from ffprobe.data.picture_survey import PictureSurvey
from ffprobe.data.picture_tree import SPLITS, Key, Split, as_channels, class_numbers, decoded_pictures, in_order
from ffprobe.errors import FileError

if TYPE_CHECKING:
    import numpy as np

SETTING = "max_disk_gigabytes"
_CHUNK = 1 << 22

_log = logging.getLogger("ffprobe")


def write_pictures(folder: Path, path: Path, max_bytes: int, background: Background = "black") -> None:
    """Decode all pictures into ``folder``: ``train.npy`` and ``test.npy`` in order, and ``index.npz`` with metadata.

    The folder appears complete or not at all. One picture at a time is in memory; until they are sorted, the disk needs
    space for all of them twice. Leftovers of killed processes of this machine are deleted.

    Args:
        folder: the output folder; an existing one is replaced.
        path: a folder or archive of pictures.
        max_bytes: maximum size of the decoded pictures, in bytes.
        background: colour behind transparent pixels.

    Raises:
        FileError: as in ``read_picture_tree``, or the disk is full or not writable.
    """
    _delete_leftovers(folder)
    # the temporary name contains the process id, so that a later process knows whether its owner is alive
    unfinished = folder.with_name(f"{folder.name}.{socket.gethostname()}.{os.getpid()}.tmp")
    try:
        with _as_file_error(folder):
            unfinished.mkdir(parents=True)
        _write(unfinished, folder, path, max_bytes, background)
        with _as_file_error(folder):
            shutil.rmtree(folder, ignore_errors=True)
            try:
                os.replace(unfinished, folder)
            except OSError:
                if not folder.is_dir():  # otherwise another process was faster, with the same pictures
                    raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def read_pictures(folder: Path) -> tuple[dict[Split, Images], list[str]] | None:
    """The pictures that ``write_pictures`` wrote to ``folder``; None if there are none or they are damaged (logged).

    The second value is the list of warnings about the data set.

    The checksum of all bytes is verified, which takes as long as reading them once.
    """
    import numpy as np
    import torch

    from ffprobe.data.pixels_on_disk import PixelsOnDisk

    if not folder.is_dir():
        return None
    try:
        with (folder / "index.npz").open("rb") as file, np.load(file, allow_pickle=False) as archive:
            index = {name: archive[name] for name in archive.files}
        for split in SPLITS:
            if _checksum(folder / f"{split}.npy") != int(index[f"{split}_checksum"]):
                raise ValueError(f"{split}.npy has a wrong checksum")
        classes = tuple(str(name) for name in index["classes"])
        mean, std = (tuple(float(v) for v in index[name]) for name in ("mean", "std"))
        images = {
            split: Images(
                PixelsOnDisk(folder / f"{split}.npy"),  # type: ignore[arg-type]
                torch.from_numpy(index[f"{split}_labels"]),
                classes,
                mean,
                std,
            )
            for split in SPLITS
        }
        return images, [str(note) for note in index["notes"]]
    except Exception as error:  # zipfile and numpy raise many kinds of exceptions for damaged bytes
        _log.warning("the decoded pictures in %s are damaged (%s) and are decoded again", folder, error)
        return None


def _write(unfinished: Path, folder: Path, path: Path, max_bytes: int, background: Background) -> None:
    import numpy as np

    survey = PictureSurvey()
    spooled: dict[Key, tuple[int, tuple[int, ...]]] = {}  # offset and shape of each picture
    with _as_file_error(folder), (unfinished / "unordered").open("w+b") as spool:
        for key, picture in decoded_pictures(path, max_bytes, SETTING, background, survey):
            spooled[key] = spool.tell(), picture.shape
            spool.write(picture.tobytes())
        keys, classes = in_order(spooled, path)
        channels = 3 if any(len(shape) == 3 for _, shape in spooled.values()) else 1
        index: dict[str, Any] = {"classes": np.array(classes, dtype=np.str_)}
        index["notes"] = np.array(survey.notes(), dtype=np.str_)
        for split in SPLITS:
            ordered = [spooled[key] for key in keys[split]]
            counts = _write_array(unfinished / f"{split}.npy", spool, ordered, channels)
            if split == "train":
                index["mean"], index["std"] = statistics_of_counts(counts)
            index[f"{split}_labels"] = class_numbers(keys[split], classes)
            index[f"{split}_checksum"] = np.array(_checksum(unfinished / f"{split}.npy"))
    with _as_file_error(folder):
        (unfinished / "unordered").unlink()
        with (unfinished / "index.npz").open("wb") as file:
            np.savez(file, **index)
            file.flush()
            os.fsync(file.fileno())


def _write_array(target: Path, spool: IO[bytes], ordered: Sequence[tuple[int, tuple[int, ...]]], channels: int) -> Any:
    # writes one .npy; returns the counts of the 256 values in each channel
    import numpy as np
    import torch

    shape = (len(ordered), channels, *ordered[0][1][:2])
    counts = torch.zeros(channels, 256, dtype=torch.int64)
    with target.open("wb", buffering=_CHUNK) as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for offset, size in ordered:
            spool.seek(offset)
            raw: np.ndarray = np.frombuffer(spool.read(int(np.prod(size))), dtype=np.uint8).reshape(size)
            planes = np.ascontiguousarray(as_channels(raw, channels))
            file.write(planes.data)
            for channel, plane in enumerate(planes):
                counts[channel] += torch.from_numpy(np.bincount(plane.reshape(-1), minlength=256))
        file.flush()
        os.fsync(file.fileno())
    return counts


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            checksum = zlib.crc32(chunk, checksum)
    return checksum


@contextmanager
def _as_file_error(folder: Path) -> Iterator[None]:
    # turns errors of the disk into a FileError; errors of the pictures are FileErrors already
    try:
        yield
    except OSError as error:
        free = ""
        parent = next((p for p in (folder, *folder.parents) if p.exists()), None)
        if parent is not None:
            free = f" ({shutil.disk_usage(parent).free / 1e9:.3g} GB are free)"
        raise FileError(
            f"The decoded pictures do not fit into memory and cannot be written to the disk: {error.strerror}{free}.",
            where=str(folder.parent),
            hint="Free disk space, set FFPROBE_CACHE_DIR to a folder on a larger disk, or increase max_gigabytes.",
        ) from error


def _delete_leftovers(folder: Path) -> None:
    host = socket.gethostname()
    for other in folder.parent.glob(f"{folder.name}.{host}.*.tmp"):
        number = other.name.removesuffix(".tmp").rpartition(".")[2]
        if number.isdecimal() and not _alive(int(number)):
            shutil.rmtree(other, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return process != os.getpid()
