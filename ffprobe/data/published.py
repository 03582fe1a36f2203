"""Published data sets: finding their files, fetching them, and reading them through torchvision."""

from __future__ import annotations

import http.client
import os
import tarfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ffprobe.data.folders import data_folder
from ffprobe.errors import FileError


def published_folder(
    reader: str,
    files: Sequence[Sequence[str]],
    *,
    below: str,
    data_dir: Path | None,
    download: bool,
    elsewhere: Sequence[Path] = (),
    hint: str = "",
    **arguments: Any,
) -> Path:
    """The folder that holds the files of a published data set, fetched if the user asked for that.

    Looked at in this order: torchvision's layout below the data folder, the data folder itself, and, when the user
    named no folder, the folders ``elsewhere``.

    Args:
        reader: the class in ``torchvision.datasets`` that can fetch the files, such as ``"FashionMNIST"``.
        files: the files needed, each as the names under which it may lie, such as ``[("a", "a.gz"), ("b", "b.gz")]``.
        below: torchvision's folder below its root, such as ``"FashionMNIST/raw"``.
        data_dir: the folder that the user named (``--data-dir``), or None.
        download: whether missing files may be fetched (``--download``).
        elsewhere: folders of the system that may hold the files.
        hint: one more way of getting the files, as a sentence for the error.
        arguments: further arguments for ``reader``.

    Raises:
        FileError: a file is missing and may not be fetched, or could not be.
    """
    root = data_folder(data_dir)
    places = [root / below, root] + ([] if data_dir is not None else list(elsewhere))
    found = _complete(places, files)
    if found is None and download:
        _fetch(reader, root, arguments)
        found = _complete(places, files)
    if found is not None:
        return found
    partial = [(place, _missing(place, files)) for place in places]
    some = next(((place, gone) for place, gone in partial if len(gone) < len(files)), None)
    advice = f"Fetch them with --download, or name a folder that holds them with --data-dir DIR. {hint}".strip()
    if some:
        raise FileError(f"The data set {reader} is incomplete: {some[0]} has no {some[1][0]}.", hint=advice)
    looked = " and ".join(str(place) for place in places)
    raise FileError(f"The files of the data set {reader} ({files[0][0]} ...) are not in {looked}.", hint=advice)


def find_file(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of ``names`` that is a file in ``folder``, or None."""
    return next((folder / name for name in names if os.path.isfile(folder / name)), None)


def read_with_torchvision(reader: str, folder: Path, checksums: Sequence[tuple[str, str]], **arguments: Any) -> Any:
    """A data set read by torchvision from the folder that directly holds its files.

    torchvision compares every file with its published MD5 before it reads it. That check matters: CIFAR's official
    batches are pickles, and only the published ones may be unpickled. It is never bypassed.

    Args:
        reader: the class in ``torchvision.datasets``, such as ``"CIFAR10"``.
        folder: holds the files.
        checksums: name and MD5 of each file, to say which one is damaged.
        arguments: for ``reader``, such as ``train=True``.

    Raises:
        FileError: a file is missing, or is not the published one.
    """
    import numpy as np
    from torchvision.datasets.utils import check_integrity

    # an empty base_folder makes torchvision look in the folder itself
    located = type(reader, (_torchvision_class(reader),), {"base_folder": ""})
    try:
        with warnings.catch_warnings():
            # numpy 2.4.0 to 2.4.4 remark on how the official CIFAR batches spell a dtype
            warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
            return located(root=str(folder), download=False, **arguments)
    except (RuntimeError, OSError) as error:
        for name, md5 in checksums:
            if not (folder / name).is_file():
                raise FileError(f"The data set {reader} is incomplete: {folder} has no {name}.") from error
            if not check_integrity(folder / name, md5):
                raise FileError(
                    f"{folder / name} is damaged, or not the published file: its MD5 is not {md5}.",
                    hint="Delete it, then fetch it again with --download.",
                ) from error
        raise FileError(f"torchvision cannot read {reader} in {folder}: {_sentence(error)}.") from error


def _complete(places: Sequence[Path], files: Sequence[Sequence[str]]) -> Path | None:
    return next((place for place in places if not _missing(place, files)), None)


def _missing(place: Path, files: Sequence[Sequence[str]]) -> list[str]:
    return [names[0] for names in files if find_file(place, names) is None]


def _fetch(reader: str, root: Path, arguments: dict[str, Any]) -> None:
    failures = (
        OSError,
        RuntimeError,
        ValueError,
        AssertionError,
        EOFError,
        tarfile.TarError,
        http.client.HTTPException,
    )
    try:
        _torchvision_class(reader)(root=str(root), download=True, **arguments)
    except failures as error:
        raise FileError(
            f"Downloading {reader} into {root} failed: {_sentence(error)}.",
            hint="Try again, or fetch the files yourself and name their folder with --data-dir DIR.",
        ) from error


def _torchvision_class(reader: str) -> Any:
    import torchvision.datasets

    return getattr(torchvision.datasets, reader)


def _sentence(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
