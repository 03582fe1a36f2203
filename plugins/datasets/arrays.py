"""Your own arrays: tables, signals, pictures or tokens in .npz, .npy or .mat files."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import numpy as np
import torch
from ffprobe_plugins.datasets.array_file import ArrayFile, open_arrays
from ffprobe_plugins.datasets.array_names import USUAL, array_names
from ffprobe_plugins.datasets.joint_labels import joint_labels
from ffprobe_plugins.datasets.user_files import user_file
from pydantic import Field

import ffprobe

SUFFIXES = (".npz", ".npy", ".mat")


class Arrays(ffprobe.Dataset):
    """Your own arrays, read from an .npz or .mat file, or from the .npy files of a folder, in ``--data-dir``.

    ``--data-dir`` is the file, its folder together with ``file``, or the folder of the .npy files. The arrays are found
    under the names ``X_train``, ``y_train``, ``X_test`` and ``y_test`` (also ``train_images``, ``train_labels``, ... or
    only ``X`` and ``y``, in any case); settings give other names. The first dimension counts the samples. uint8
    ``[N, H, W]``, ``[N, C, H, W]`` or ``[N, H, W, C]`` are pictures; other numbers are tables ``[N, F]``, signals
    ``[N, C, T]`` or maps ``[N, C, H, W]``; with ``tokens=true`` integers ``[N, T]`` are tokens. Labels are whole
    numbers or texts. Without test arrays, the test samples are a fixed part of each class, the same for every seed.

    Arrays of Python objects are refused, since reading them may run code. MATLAB files of version 7.3 are not read.
    """

    name = "arrays"
    source = "the user"

    class Params(ffprobe.Params):
        """The files, the names of the arrays and the test samples."""

        file: str = Field(
            "", description="name of the file in --data-dir; empty if --data-dir is the file or a folder of .npy files"
        )
        test_file: str = Field(
            "", description="name of a file in the same folder with the test samples, under the same names of arrays"
        )
        inputs: str = Field("", description="name of the array of inputs [N, ...]; empty: a usual name")
        labels: str = Field("", description="name of the array of labels [N]; empty: a usual name")
        test_inputs: str = Field("", description="name of the array of test inputs; empty: a usual name, if it exists")
        test_labels: str = Field("", description="name of the array of test labels; empty: a usual name, if it exists")
        groups: str = Field(
            "", description="name of an array [N] with the group of each training sample; a group is never in two parts"
        )
        weights: str = Field(
            "", description="name of an array [N] with the weight of each training sample, drawn in proportion"
        )
        test_fraction: float = Field(
            0.2,
            gt=0,
            lt=1,
            description="fraction of each class that is used for testing, in (0, 1), without test arrays",
        )
        tokens: bool = Field(False, description="whether the inputs are tokens, integers [N, T] from 0")
        vocabulary: int = Field(0, ge=0, description="number of different tokens; 0: the largest token plus 1")

    def load(self, split: Literal["train", "test"]) -> ffprobe.Samples:
        """Load one split.

        Raises:
            UsageError: ``--data-dir`` is missing, or it has no array of a name.
            FileError: a file cannot be read, or an array has a form that cannot be used.
        """
        return self._splits[split]

    @cached_property
    def _splits(self) -> dict[Literal["train", "test"], ffprobe.Samples]:
        params = self.params
        file = self._open(params.file, "file")
        given = {key: getattr(params, key) for key in USUAL}
        names = array_names(file, given, another_file=bool(params.test_file))
        x, y = _pair(file, names["inputs"], names["labels"])
        inputs, targets = [self._inputs(file, names["inputs"], x)], [y]
        other = self._open(params.test_file, "test_file") if params.test_file else file
        if names["test_inputs"]:
            x, y = _pair(other, names["test_inputs"], names["test_labels"], "test_")
            inputs, targets = [*inputs, self._inputs(other, names["test_inputs"], x)], [*targets, y]
        labels, classes = joint_labels(targets, f"{names['labels']!r} of {file.path}")
        vocabulary = 0
        if params.tokens:
            vocabulary = params.vocabulary or max(int(part.max()) for part in inputs) + 1
        count = len(inputs[0])
        train = ffprobe.Samples(
            inputs[0],
            labels[:count],
            classes,
            vocabulary=vocabulary,
            weights=self._rows(file, "weights", count),
            groups=self._rows(file, "groups", count),
        )
        if len(inputs) == 2:
            return {"train": train, "test": ffprobe.Samples(inputs[1], labels[count:], classes, vocabulary=vocabulary)}
        rows = ffprobe.train_test_indices(labels, params.test_fraction, groups=train.groups, classes=classes)
        return {"train": train.subset(rows[0]), "test": train.subset(rows[1])}

    def _open(self, name: str, setting: str) -> ArrayFile:
        folder = self.data_dir.expanduser() if self.data_dir else None
        if folder and folder.is_dir() and not name and any(folder.glob("*.npy")):
            return open_arrays(folder)
        return open_arrays(user_file(self.name, self.data_dir, name, SUFFIXES, setting))

    def _inputs(self, file: ArrayFile, name: str, array: np.ndarray) -> torch.Tensor:
        try:
            return ffprobe.array_inputs(array, self.params.tokens)
        except ffprobe.FileError as error:
            raise ffprobe.FileError(error.what, where=f"{name!r} of {file.path}", hint=error.hint) from error

    def _rows(self, file: ArrayFile, setting: str, count: int) -> torch.Tensor | None:
        """Groups or weights of the training samples."""
        name = getattr(self.params, setting)
        if not name:
            return None
        array = file.array(name, setting).reshape(-1)
        if len(array) != count:
            what = f"{name!r} of {file.path} has {len(array)} values for {count} samples."
            raise ffprobe.FileError(what, hint="One value for each sample is needed.")
        if setting == "groups":
            return torch.from_numpy(np.unique(array, return_inverse=True)[1].reshape(-1).astype(np.int64))
        if array.dtype.kind not in "fiub":
            raise ffprobe.FileError(f"{name!r} of {file.path} has texts.", hint="A weight is a number, not negative.")
        return torch.from_numpy(array.astype(np.float64))


def _pair(file: ArrayFile, inputs: str, labels: str, prefix: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Inputs ``[N, ...]`` and labels ``[N]`` of a file."""
    x, y = file.array(inputs, f"{prefix}inputs"), file.array(labels, f"{prefix}labels")
    if y.ndim == 2 and 1 in y.shape:  # MATLAB has no vectors
        y = y.reshape(-1)
    if x.ndim == 0 or y.ndim != 1 or len(x) != len(y):
        shapes = f"{inputs!r} {list(x.shape)} and {labels!r} {list(y.shape)}"
        raise ffprobe.FileError(
            f"{shapes} of {file.path} are not inputs and their labels.",
            hint="The first dimension of the inputs counts the samples, and each has one label.",
        )
    return x, np.char.strip(y) if y.dtype.kind in "US" else y


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    """Return the data set."""
    return [Arrays]
