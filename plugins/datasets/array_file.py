"""Opens the arrays in an .npz or a .mat file, or the .npy files of a folder; nothing is unpickled."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import ffprobe

UNPICKLED = "Objects are pickles, which may run code; save numbers or texts: array.astype(float) or array.astype(str)."


@dataclass(frozen=True)
class ArrayFile:
    """The arrays of one file or folder by name.

    Attributes:
        path: the file or the folder.
        names: the names of the arrays, sorted.
        read: reads one of them.
    """

    path: Path
    names: tuple[str, ...]
    read: Callable[[str], Any]

    def array(self, name: str, setting: str) -> np.ndarray:
        """One array.

        Raises:
            UsageError: there is none of this name.
            FileError: it is damaged, or has objects instead of numbers or texts.
        """
        if name not in self.names:
            raise ffprobe.UsageError(
                f"{self.path} has no array {name!r} (dataset.{setting}).", hint=f"It has {', '.join(self.names)}."
            )
        try:
            array = self.read(name)
        except Exception as error:  # numpy and scipy read damaged files with many kinds of error
            if "pickle" in str(error):
                raise ffprobe.FileError(f"The array {name!r} of {self.path} has objects.", hint=UNPICKLED) from error
            what = f"The array {name!r} of {self.path} cannot be read: {error}."
            raise ffprobe.FileError(what, hint="Save it again.") from error
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiubUS":
            raise ffprobe.FileError(f"{name!r} of {self.path} is no array of numbers or texts.", hint=UNPICKLED)
        return array


def open_arrays(path: Path) -> ArrayFile:
    """The arrays in a file that ends in ``.npz`` or ``.mat``, or in the ``.npy`` files of a folder.

    Raises:
        FileError: the file cannot be read, or has another ending.
    """
    if path.is_dir():
        files = {file.stem: file for file in path.glob("*.npy")}
        return ArrayFile(path, tuple(sorted(files)), lambda name: np.load(files[name], allow_pickle=False))
    if path.suffix == ".mat":
        return _open_mat(path)
    if path.suffix != ".npz":
        raise ffprobe.FileError(f"{path} is no .npz and no .mat file.", hint="For .npy files, name their folder.")
    try:
        names = _from_npz(path, lambda file: file.files)
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ffprobe.FileError(f"{path} is not an .npz file: {error}.", hint="Write it with numpy.savez.") from error
    return ArrayFile(path, tuple(sorted(names)), lambda name: _from_npz(path, lambda file: file[name]))


def _from_npz(path: Path, read: Callable[[Any], Any]) -> Any:
    with path.open("rb") as handle:  # numpy leaves a damaged archive open
        return read(np.load(handle, allow_pickle=False))


def _open_mat(path: Path) -> ArrayFile:
    import scipy.io

    try:
        names = [name for name, _, _ in scipy.io.whosmat(path)]
    except NotImplementedError as error:  # version 7.3 is HDF5, with the axes reversed
        raise ffprobe.FileError(f"{path} is a MATLAB 7.3 file.", hint="Save it with the option -v7.") from error
    except Exception as error:  # scipy reads damaged files with many kinds of error
        raise ffprobe.FileError(f"{path} is not a .mat file: {error}.", hint="Save it with the option -v7.") from error
    return ArrayFile(path, tuple(sorted(names)), lambda name: scipy.io.loadmat(path, variable_names=[name])[name])
