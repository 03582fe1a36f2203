"""Pictures in the layout ``train/CLASS/*`` and ``test/CLASS/*``, in a folder or in a tar."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ffprobe.data.archive import MAX_FILE_BYTES, TooLarge, tar_files
from ffprobe.data.picture import decode_picture, is_picture, quiet_pillow
from ffprobe.errors import FileError

if TYPE_CHECKING:
    import numpy as np

Split = Literal["train", "test"]
SPLITS: tuple[Split, Split] = ("train", "test")
LAYOUT = "The layout must be train/CLASS/* and test/CLASS/*, with the same classes in both."
OVERHEAD = 1024  # bytes per picture in addition to its pixels, so that the number of tiny pictures is bounded too


@dataclass(frozen=True)
class PictureTree:
    """Decoded pictures.

    Attributes:
        pixels: pixels by split (``train``, ``test``), uint8 ``[N, C, H, W]``; C is 3 if any picture has colour, else 1.
        labels: labels by split, int64 ``[N]``.
        classes: class names in label order, which is sorted.
    """

    pixels: dict[Split, np.ndarray]
    labels: dict[Split, np.ndarray]
    classes: tuple[str, ...]


Key = tuple[str, str, str]
"""Split, class and file name of a picture."""


def read_picture_tree(path: Path, max_bytes: int) -> PictureTree:
    """All pictures of a folder or tar, sorted by class and then by name, whatever the order on the disk.

    ``train`` and ``test`` may be inside one other folder. Hidden files and files without a picture's suffix are
    ignored.

    Args:
        path: a folder, or a tar (plain, xz, gzip, bzip2).
        max_bytes: maximum size of the decoded pictures, and of the decompressed archive, in bytes.

    Raises:
        TooLarge: the pictures or the archive are larger.
        FileError: a picture is damaged, sizes differ, a split is missing, there is only one class, or the archive is
            damaged or unsafe; the message names the problem and the file.
    """
    pictures = dict(decoded_pictures(path, max_bytes, "max_gigabytes"))
    keys, classes = in_order(pictures, path)
    channels = 3 if any(array.ndim == 3 for array in pictures.values()) else 1
    height, width = next(iter(pictures.values())).shape[:2]
    check_limit(len(pictures) * channels * height * width, path, max_bytes, "max_gigabytes")
    return _assemble(pictures, keys, classes, (channels, height, width))


def decoded_pictures(path: Path, max_bytes: int, setting: str) -> Generator[tuple[Key, np.ndarray], None, None]:
    """Every picture in the order of the source: its key, and its pixels uint8 ``[H, W]`` or ``[H, W, 3]``.

    Args:
        path: a folder or tar.
        max_bytes: maximum size of all pictures, and of the decompressed archive, in bytes.
        setting: name of the setting that increases this maximum, for the message.

    Raises:
        FileError: as in ``read_picture_tree``.
    """
    prefixes: dict[str, str] = {}
    first: tuple[str, tuple[int, ...]] | None = None
    used = 0
    source = folder_files(path) if path.is_dir() else tar_files(path, _inside, max_bytes, setting)
    with quiet_pillow(), closing(source):
        for name, content in source:
            prefix, key = _split_name(name, path)
            prefixes.setdefault(prefix, name)
            if len(prefixes) > 1:
                one, other = list(prefixes.values())[:2]
                raise FileError(f"{path} contains two trees of pictures: {one!r} and {other!r}.", hint=LAYOUT)
            array = decode_picture(f"{name!r} in {path}", content)
            first = first or (name, array.shape[:2])
            if array.shape[:2] != first[1]:
                raise FileError(
                    f"The pictures in {path} differ in size: {first[0]!r} has {_size(first[1])} pixels, "
                    f"{name!r} has {_size(array.shape)}.",
                    hint="Resize all of them to one size.",
                )
            used += array.nbytes + OVERHEAD
            check_limit(used, path, max_bytes, setting)
            yield key, array


def folder_files(path: Path) -> Generator[tuple[str, bytes], None, None]:
    """The pictures of ``train/CLASS/*`` and ``test/CLASS/*`` in a folder: name relative to the folder, and bytes.

    Raises:
        FileError: a file cannot be read or is larger than 64 MiB.
    """
    for name in folder_names(path):
        try:
            if (size := (path / name).stat().st_size) > MAX_FILE_BYTES:
                raise FileError(f"{path / name} has {size} bytes; the maximum is {MAX_FILE_BYTES}.")
            yield name, (path / name).read_bytes()
        except OSError as error:
            raise FileError(f"{path / name} cannot be read: {error.strerror}.") from error


def folder_names(path: Path) -> list[str]:
    """The names, relative to a folder, of the pictures that ``folder_files`` reads; sorted.

    Raises:
        FileError: a folder cannot be listed, or there are folders inside ``train/CLASS``.
    """
    try:
        roots = [path] if any((path / split).is_dir() for split in SPLITS) else sorted(path.iterdir())
        names = []
        for root in roots:
            for split in SPLITS:
                if (root / split).is_dir():
                    names += _names(root / split)
    except OSError as error:
        raise FileError(f"{error.filename or path} cannot be listed: {error.strerror}.") from error
    return sorted(name.relative_to(path).as_posix() for name in names)


def _names(split: Path) -> list[Path]:
    names = []
    for folder in split.iterdir():
        if folder.name.startswith(".") or not folder.is_dir():
            continue
        for file in folder.iterdir():
            if file.is_dir() and not file.name.startswith("."):
                raise FileError(f"{file} is nested too deeply for a folder of pictures.", hint=LAYOUT)
            if is_picture(file.name) and file.is_file():
                names.append(file)
    return names


def _inside(name: str) -> bool:
    """Whether a member of a tar is a picture in ``train`` or ``test``, outside hidden folders."""
    parts = name.split("/")
    return is_picture(name) and not any(p.startswith(".") for p in parts) and any(p in SPLITS for p in parts[:2])


def _split_name(name: str, path: Path) -> tuple[str, tuple[str, str, str]]:
    """A picture's name, split into the folder above ``train`` or ``test``, and (split, class, file)."""
    parts = name.split("/")
    above = 0 if parts[0] in SPLITS else 1
    if len(parts) != above + 3:
        raise FileError(
            f"{path} contains the picture {name!r}, which is nested too deeply or not in a class folder.", hint=LAYOUT
        )
    split, label, file = parts[above:]
    if not label.isprintable():
        raise FileError(f"{path} contains the class {label!r}, whose name has characters that cannot be printed.")
    return "/".join(parts[:above]), (split, label, file)


def in_order(found: Iterable[Key], path: Path) -> tuple[dict[Split, list[Key]], tuple[str, ...]]:
    """The pictures of each split in the order of the data set, and the class names.

    Raises:
        FileError: a split is missing, a class is in one split only, or there is only one class.
    """
    keys: dict[Split, list[Key]] = {split: [] for split in SPLITS}
    for key in sorted(found):
        keys["train" if key[0] == "train" else "test"].append(key)
    if not any(keys.values()):
        raise FileError(f"{path} contains no pictures.", hint=LAYOUT)
    labels = {split: {key[1] for key in keys[split]} for split in SPLITS}
    for split in SPLITS:
        if not keys[split]:
            raise FileError(f"{path} has no pictures in {split}.", hint=LAYOUT)
    for one, other in (SPLITS, SPLITS[::-1]):
        if lone := sorted(labels[one] - labels[other]):
            raise FileError(f"{path} has pictures of the class {lone[0]!r} in {one}, but none in {other}.", hint=LAYOUT)
    classes = tuple(sorted(labels["train"]))
    if len(classes) < 2:
        raise FileError(f"{path} contains only the class {classes[0]!r}; at least two are needed.", hint=LAYOUT)
    return keys, classes


def as_channels(picture: np.ndarray, channels: int) -> np.ndarray:
    """uint8 ``[H, W]`` or ``[H, W, 3]`` as ``[channels, H, W]``; grey is repeated for three channels."""
    import numpy as np

    height, width = picture.shape[:2]
    planes = picture if picture.ndim == 2 else picture.transpose(2, 0, 1)
    return np.broadcast_to(planes, (channels, height, width))


def class_numbers(keys: Sequence[Key], classes: tuple[str, ...]) -> np.ndarray:
    """The label of each picture, int64 ``[N]``."""
    import numpy as np

    number = {name: index for index, name in enumerate(classes)}
    return np.array([number[key[1]] for key in keys], dtype=np.int64)


def _assemble(
    pictures: dict[Key, np.ndarray], keys: dict[Split, list[Key]], classes: tuple[str, ...], shape: tuple[int, int, int]
) -> PictureTree:
    import numpy as np

    pixels: dict[Split, np.ndarray] = {}
    for split in SPLITS:
        pixels[split] = np.empty((len(keys[split]), *shape), dtype=np.uint8)
        for index, key in enumerate(keys[split]):
            pixels[split][index] = as_channels(pictures.pop(key), shape[0])  # freed after the copy
    return PictureTree(pixels, {split: class_numbers(keys[split], classes) for split in SPLITS}, classes)


def check_limit(used: int, path: Path, max_bytes: int, setting: str) -> None:
    """Raise ``TooLarge`` if more than ``max_bytes`` are used."""
    if used > max_bytes:
        message = f"The pictures in {path} take more than {max_bytes / 1e9:g} GB."
        raise TooLarge(message, hint=f"Increase {setting}.")


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
