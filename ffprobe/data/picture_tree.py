"""Pictures in the layout ``train/CLASS/*`` and ``test/CLASS/*``, in a folder, a tar or a zip."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ffprobe.data.archive import MAX_FILE_BYTES, TooLarge, tar_files
from ffprobe.data.picture import Background, decode_picture, is_picture, quiet_pillow
from ffprobe.data.picture_survey import PictureSurvey
from ffprobe.data.zip_archive import is_zip, zip_files
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
        notes: warnings about the data set, each one sentence.
    """

    pixels: dict[Split, np.ndarray]
    labels: dict[Split, np.ndarray]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()


Key = tuple[str, str, str]
"""Split, class and file name of a picture."""


def read_picture_tree(path: Path, max_bytes: int, background: Background = "black") -> PictureTree:
    """All pictures of a folder or archive, sorted by class and then by name, whatever the order on the disk.

    ``train`` and ``test`` may be inside one other folder. Hidden files are ignored; files without a picture's suffix
    are counted in ``notes``.

    Args:
        path: a folder, a tar (plain, xz, gzip, bzip2) or a zip.
        max_bytes: maximum size of the decoded pictures, and of the decompressed archive, in bytes.
        background: colour behind transparent pixels.

    Raises:
        TooLarge: the pictures or the archive are larger.
        FileError: a picture is damaged, sizes differ, all training pictures are identical, most files are not pictures,
            a split is missing, there is only one class, two class names are the same, or the archive is damaged or
            unsafe; the message names the problem and the file.
    """
    survey = PictureSurvey()
    pictures = dict(decoded_pictures(path, max_bytes, "max_gigabytes", background, survey))
    keys, classes = in_order(pictures, path)
    channels = 3 if any(array.ndim == 3 for array in pictures.values()) else 1
    height, width = next(iter(pictures.values())).shape[:2]
    check_limit(len(pictures) * channels * height * width, path, max_bytes, "max_gigabytes")
    pixels, labels = _assemble(pictures, keys, classes, (channels, height, width))
    return PictureTree(pixels, labels, classes, tuple(survey.notes()))


def decoded_pictures(
    path: Path, max_bytes: int, setting: str, background: Background, survey: PictureSurvey
) -> Generator[tuple[Key, np.ndarray], None, None]:
    """Every picture in the order of the source: its key, and its pixels uint8 ``[H, W]`` or ``[H, W, 3]``.

    Args:
        path: a folder, tar or zip.
        max_bytes: maximum size of all pictures, and of the decompressed archive, in bytes.
        setting: name of the setting that increases this maximum, for the message.
        background: colour behind transparent pixels.
        survey: takes note of every picture; its ``notes`` are complete after the last one.

    Raises:
        FileError: as in ``read_picture_tree``.
    """
    prefixes: dict[str, str] = {}
    first: tuple[str, tuple[int, ...]] | None = None
    used = 0
    with quiet_pillow(), closing(_files(path, max_bytes, setting, survey)) as source:
        for name, content in source:
            prefix, key = _split_name(name, path, survey)
            prefixes.setdefault(prefix, name)
            if len(prefixes) > 1:
                one, other = list(prefixes.values())[:2]
                raise FileError(f"{path} contains two trees of pictures: {one!r} and {other!r}.", hint=LAYOUT)
            array = decode_picture(f"{name!r} in {path}", content, background)
            first = first or (name, array.shape[:2])
            if array.shape[:2] != first[1]:
                raise FileError(
                    f"The pictures in {path} differ in size: {first[0]!r} has {_size(first[1])} pixels, "
                    f"{name!r} has {_size(array.shape)}.",
                    hint="Resize all of them to one size.",
                )
            survey.add(key[0], array)
            used += array.nbytes + OVERHEAD
            check_limit(used, path, max_bytes, setting)
            yield key, array
    survey.check(path)


def _files(path: Path, max_bytes: int, setting: str, survey: PictureSurvey) -> Generator[tuple[str, bytes], None, None]:
    if path.is_dir():
        return folder_files(path, survey)
    read = zip_files if is_zip(path) else tar_files
    return read(path, lambda name: _inside(name, survey), max_bytes, setting)


def folder_files(path: Path, survey: PictureSurvey) -> Generator[tuple[str, bytes], None, None]:
    """The pictures of ``train/CLASS/*`` and ``test/CLASS/*`` in a folder: name relative to the folder, and bytes.

    Raises:
        FileError: a file cannot be read or is larger than 64 MiB.
    """
    for name in folder_names(path, survey):
        try:
            if (size := (path / name).stat().st_size) > MAX_FILE_BYTES:
                raise FileError(f"{path / name} has {size} bytes; the maximum is {MAX_FILE_BYTES}.")
            yield name, (path / name).read_bytes()
        except OSError as error:
            raise FileError(f"{path / name} cannot be read: {error.strerror}.") from error


def folder_names(path: Path, survey: PictureSurvey) -> list[str]:
    """The names, relative to a folder, of the pictures that ``folder_files`` reads; sorted.

    ``survey`` counts the other files.

    Raises:
        FileError: a folder cannot be listed, or there are folders inside ``train/CLASS``.
    """
    try:
        direct = any((path / split).is_dir() for split in SPLITS)
        roots = [""] if direct else sorted(f"{folder.name}/" for folder in path.iterdir())
        names = []
        for root in roots:
            for split in SPLITS:
                if (path / root / split).is_dir():
                    names += _names(path, f"{root}{split}", survey)
    except OSError as error:
        raise FileError(f"{error.filename or path} cannot be listed: {error.strerror}.") from error
    return sorted(names)


def _names(path: Path, split: str, survey: PictureSurvey) -> list[str]:
    names = []
    for folder in list(os.scandir(path / split)):
        if folder.name.startswith("."):
            continue
        if not folder.is_dir():
            if is_picture(folder.name):
                raise FileError(f"{folder.path} is a picture that is not in a class folder.", hint=LAYOUT)
            continue
        for file in list(os.scandir(folder)):  # unlike Path.iterdir, it needs no further system call for each file
            if file.is_dir() and not file.name.startswith("."):
                raise FileError(f"{file.path} is nested too deeply for a folder of pictures.", hint=LAYOUT)
            if is_picture(file.name):
                names.append(f"{split}/{folder.name}/{file.name}")
            else:
                survey.leave_out(file.name)
    return names


def _inside(name: str, survey: PictureSurvey) -> bool:
    """Whether a member of an archive is a picture in ``train`` or ``test``, outside hidden folders.

    ``survey`` counts the other files in the class folders.
    """
    parts = name.split("/")
    if any(p.startswith(".") for p in parts) or parts[0] == "__MACOSX":
        return False
    above = next((index for index, part in enumerate(parts[:2]) if part in SPLITS), None)
    if above is not None and not is_picture(name) and len(parts) >= above + 3:
        survey.leave_out(name)
    return above is not None and is_picture(name)


def _split_name(name: str, path: Path, survey: PictureSurvey) -> tuple[str, tuple[str, str, str]]:
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
    return "/".join(parts[:above]), (split, survey.class_name(split, label, path), file)


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
) -> tuple[dict[Split, np.ndarray], dict[Split, np.ndarray]]:
    import numpy as np

    pixels: dict[Split, np.ndarray] = {}
    for split in SPLITS:
        pixels[split] = np.empty((len(keys[split]), *shape), dtype=np.uint8)
        for index, key in enumerate(keys[split]):
            pixels[split][index] = as_channels(pictures.pop(key), shape[0])  # freed after the copy
    return pixels, {split: class_numbers(keys[split], classes) for split in SPLITS}


def check_limit(used: int, path: Path, max_bytes: int, setting: str) -> None:
    """Raise ``TooLarge`` if more than ``max_bytes`` are used."""
    if used > max_bytes:
        message = f"The pictures in {path} take more than {max_bytes / 1e9:g} GB."
        raise TooLarge(message, hint=f"Increase {setting}.")


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
