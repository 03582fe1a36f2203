"""Checks of a data set of pictures as a whole, made while its pictures are decoded."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ffprobe.data.picture import SUFFIXES
from ffprobe.errors import FileError

if TYPE_CHECKING:
    import numpy as np

MIN_SPAN = 16
"""Minimum difference between the brightest and the darkest training pixel, in levels of 256; below it, warn."""

_LITTER = ("thumbs.db", "desktop.ini")  # written by Windows into any folder of pictures


class PictureSurvey:
    """What was left out, and whether the training pictures contain anything to learn from.

    Attributes:
        left_out: number of files without a picture's suffix in the class folders, by suffix.
    """

    def __init__(self) -> None:
        self.left_out: Counter[str] = Counter()
        self._pictures = 0
        self._train = 0
        self._first: np.ndarray | None = None
        self._identical = True
        self._low, self._high = 255, 0
        self._raw_classes: dict[tuple[str, str], str] = {}

    def leave_out(self, name: str) -> None:
        """Count a file that is not read as a picture; hidden files and those of the system are not counted."""
        base = PurePosixPath(name).name
        if not base.startswith(".") and base.lower() not in _LITTER:
            suffix = PurePosixPath(base).suffix.lower() or "no suffix"
            self.left_out[suffix if suffix.isprintable() else ascii(suffix)] += 1

    def class_name(self, split: str, raw: str, path: Path) -> str:
        """The name of a class in Unicode's composed form (NFC), which is the same on every file system.

        Raises:
            FileError: another class of this split has the same composed form.
        """
        name = unicodedata.normalize("NFC", raw)
        other = self._raw_classes.setdefault((split, name), raw)
        if other != raw:
            raise FileError(
                f"{path} has two classes in {split} with the name {name!r}, in different Unicode forms: "
                f"{other!a} and {raw!a}.",
                hint="Merge the two folders, or rename one.",
            )
        return name

    def add(self, split: str, picture: np.ndarray) -> None:
        """Take note of a decoded picture, uint8 ``[H, W]`` or ``[H, W, 3]``."""
        self._pictures += 1
        if split != "train":
            return
        self._train += 1
        self._first = picture if self._first is None else self._first
        if self._identical:
            self._identical = bool((_colour(picture) == _colour(self._first)).all())
        if self._high - self._low < MIN_SPAN:  # otherwise more pixels cannot change the result
            self._low, self._high = min(self._low, int(picture.min())), max(self._high, int(picture.max()))

    def check(self, path: Path) -> None:
        """Check the data set after its last picture.

        Raises:
            FileError: most files were left out, or all training pictures are identical.
        """
        if self.left_out.total() > self._pictures:
            raise FileError(
                f"{path} contains {self._pictures} readable pictures, but most files are none: {self._listed()}.",
                hint=f"Convert or remove them. Readable suffixes: {' '.join(SUFFIXES)}.",
            )
        if self._train > 1 and self._identical and self._first is not None:
            low, high = int(self._first.min()), int(self._first.max())
            pixels = f"every pixel is {low}" if low == high else f"pixels from {low} to {high}"
            raise FileError(
                f"All {self._train} training pictures in {path} are identical after decoding ({pixels}).",
                hint="Dark drawings on a transparent background need --set dataset.background=white. For pictures of "
                "16 bits, scale the values to the range that the file declares.",
            )

    def notes(self) -> list[str]:
        """Warnings about the data set, each one sentence; they do not contain its path."""
        notes = []
        if self.left_out:
            notes.append(f"These files in the class folders are not read, by suffix: {self._listed()}.")
        if self._train and self._high - self._low < MIN_SPAN:
            notes.append(
                f"The training pictures use only the grey levels {self._low} to {self._high} of 256. For pictures of "
                "16 bits, scale the values to the range that the file declares."
            )
        return notes

    def _listed(self) -> str:
        most = self.left_out.most_common(5)
        more = len(self.left_out) - len(most)
        return ", ".join(f"{count} {suffix}" for suffix, count in most) + (f" and {more} other suffixes" * bool(more))


def _colour(picture: np.ndarray) -> np.ndarray:
    return picture if picture.ndim == 3 else picture[..., None]
