"""Text as bytes: the next byte after a window of bytes, from your own files or from Python's own sources."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import numpy as np
import torch
from ffprobe_plugins.datasets.text_files import text_bytes
from pydantic import Field

import ffprobe

OTHER = "other"
NAMES = {9: "tab", 10: "newline", 13: "return", 32: "space"}


class TextBytes(ffprobe.Dataset):
    """Text as bytes: each sample is a window of bytes, and its class is the byte that follows.

    The text is the file of ``--data-dir``, or all files of that folder that match ``pattern``, sorted by path and
    joined. Without ``--data-dir`` it is the source of Python's standard library: about 4.7 million bytes, which differ
    between versions of Python; the run file records the version. The last part of the text is for testing. Windows are
    evenly spaced and never overlap, so that no byte is in two samples, whichever are held out for validation.

    The vocabulary has all 256 bytes. A byte is a class of its own if it follows a window in both parts; all others form
    the class ``other``, since a class that is in one part only can be learned or tested, but not both. Every window
    counts in an accuracy or a perplexity, which is therefore that of a slightly easier task: tell apart the classes.
    """

    name = "text-bytes"
    source = "the user, or Python's standard library"
    defaults = {"network": {"name": "mixer"}, "encoder": {"name": "label-channel"}}

    class Params(ffprobe.Params):
        """The files and the windows."""

        context: int = Field(64, ge=1, le=4096, description="number of bytes in a window")
        pattern: str = Field("**/*.txt", description="files of the folder --data-dir, as a pattern of names")
        train_windows: int = Field(
            20_000, ge=2, description="maximum number of training windows; fewer in a short text"
        )
        test_windows: int = Field(4_000, ge=2, description="maximum number of test windows; fewer in a short text")
        test_fraction: float = Field(
            0.2, gt=0, lt=1, description="fraction of the text, at its end, that is for testing"
        )
        max_megabytes: float = Field(
            256.0, gt=0, description="maximum size of all files together, in megabytes (1e6 bytes); more is an error"
        )

    def load(self, split: Literal["train", "test"]) -> ffprobe.Samples:
        """Load one split: tokens uint8 ``[N, context]`` with a vocabulary of 256.

        Raises:
            UsageError: the pattern leaves the folder.
            FileError: no file matches, one cannot be read, or the text is too short or too long.
        """
        return self._splits[split]

    @cached_property
    def _splits(self) -> dict[Literal["train", "test"], ffprobe.Samples]:
        params = self.params
        text = np.frombuffer(text_bytes(self.data_dir, params.pattern, params.max_megabytes), dtype=np.uint8)
        end = len(text) - round(len(text) * params.test_fraction)
        train = windows(text[:end], params.context + 1, params.train_windows)
        test = windows(text[end:], params.context + 1, params.test_windows)
        if min(len(train), len(test)) < 2:
            raise ffprobe.FileError(
                f"The text has {len(text)} bytes, too few for windows of {params.context} bytes.",
                hint="Add files, or lower --set dataset.context.",
            )
        label_of, classes = byte_classes(train[:, -1], test[:, -1])
        return {
            "train": _samples(train, label_of, classes),
            "test": _samples(test, label_of, classes),
        }


def windows(text: np.ndarray, length: int, most: int) -> np.ndarray:
    """Up to ``most`` windows of the text that are evenly spaced and do not overlap, uint8 ``[N, length]``."""
    count = min(most, len(text) // length)
    starts = np.arange(count) * (len(text) - length) // max(count - 1, 1)
    rows: np.ndarray = text[starts[:, None] + np.arange(length)]
    return rows


def byte_classes(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Classes of the bytes that follow windows, so that each class is in both parts.

    Args:
        train: the byte after each training window, uint8 ``[N]``.
        test: the byte after each test window, uint8 ``[M]``.

    Returns:
        The label of each of the 256 bytes, int64 ``[256]``, and the class names: bytes in order, then ``other``.

    Raises:
        FileError: fewer than two bytes are in both parts.
    """
    counts = np.stack([np.bincount(part, minlength=256) for part in (train, test)])
    own, some = counts.min(axis=0) > 0, counts.max(axis=0) > 0
    others = some & ~own
    if others.any() and (counts[:, others].sum(axis=1) == 0).any() and own.any():
        # "other" would be in one part only: the rarest byte that is in both joins it
        rarest = np.flatnonzero(own)[np.argmin(counts.sum(axis=0)[own])]
        own[rarest], others[rarest] = False, True
    classes = tuple(byte_name(int(byte)) for byte in np.flatnonzero(own)) + ((OTHER,) if others.any() else ())
    if len(classes) < 2:
        raise ffprobe.FileError(
            "Fewer than two different bytes follow the windows of both parts of the text.",
            hint="Use a longer text, or more windows.",
        )
    return np.where(own, np.cumsum(own) - 1, own.sum()), classes


def byte_name(byte: int) -> str:
    """A readable name: the character if it is visible ASCII, a word for white space, otherwise a hexadecimal number."""
    return chr(byte) if 33 <= byte <= 126 else NAMES.get(byte, f"0x{byte:02x}")


def _samples(rows: np.ndarray, label_of: np.ndarray, classes: tuple[str, ...]) -> ffprobe.Samples:
    inputs = torch.from_numpy(np.ascontiguousarray(rows[:, :-1]))
    return ffprobe.Samples(inputs, torch.from_numpy(label_of[rows[:, -1]]), classes, vocabulary=256)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    """Return the data set."""
    return [TextBytes]
