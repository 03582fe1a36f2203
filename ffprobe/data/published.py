"""Published data sets: finding, downloading and reading their files through torchvision."""

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
    """The folder with the files of a published data set; they are downloaded if the user requested it.

    The folders are searched in this order: torchvision's layout below the data folder, the data folder itself, and, if
    the user named no folder, the folders ``elsewhere``.

    Args:
        reader: class in ``torchvision.datasets`` that downloads the files, such as ``"FashionMNIST"``.
        files: required files, each as a list of possible names, such as ``[("a", "a.gz"), ("b", "b.gz")]``.
        below: torchvision's folder below its root, such as ``"FashionMNIST/raw"``.
        data_dir: the user's folder (``--data-dir``), or None.
        download: whether missing files may be downloaded (``--download``).
        elsewhere: folders of the system that may contain the files.
        hint: another way to get the files, as a sentence for the error.
        arguments: further arguments for ``reader``.

    Raises:
        FileError: a file is missing and must not be downloaded, or the download failed.
    """
    root = data_folder(data_dir)
    folders = [root / below, root] + ([] if data_dir is not None else list(elsewhere))
    complete = _complete(folders, files)
    if complete is None and download:
        _download(reader, root, arguments)
        complete = _complete(folders, files)
    if complete is not None:
        return complete
    missing = [(folder, _missing(folder, files)) for folder in folders]
    partial = next(((folder, names) for folder, names in missing if len(names) < len(files)), None)
    advice = f"Download them with --download, or name the folder that contains them with --data-dir DIR. {hint}".strip()
    if partial:
        raise FileError(f"The data set {reader} is incomplete: {partial[0]} has no {partial[1][0]}.", hint=advice)
    searched = " or ".join(str(folder) for folder in folders)
    raise FileError(f"The files of the data set {reader} ({files[0][0]} ...) are not in {searched}.", hint=advice)


def find_file(folder: Path, names: Sequence[str]) -> Path | None:
    """The path of the first of ``names`` that is a file in ``folder``, or None."""
    return next((folder / name for name in names if os.path.isfile(folder / name)), None)


def read_with_torchvision(reader: str, folder: Path, checksums: Sequence[tuple[str, str]], **arguments: Any) -> Any:
    """A data set read by torchvision from the folder that directly contains its files.

    torchvision compares every file with its published MD5 before it reads it. That check matters: CIFAR's official
    batches are pickles, and only the published files may be unpickled. It is never bypassed.

    Args:
        reader: class in ``torchvision.datasets``, such as ``"CIFAR10"``.
        folder: folder with the files.
        checksums: name and MD5 of each file, to name a damaged one.
        arguments: arguments for ``reader``, such as ``train=True``.

    Raises:
        FileError: a file is missing, or is not the published one.
    """
    import numpy as np
    from torchvision.datasets.utils import check_integrity

    # an empty base_folder makes torchvision look in the folder itself
    located = type(reader, (_torchvision_class(reader),), {"base_folder": ""})
    try:
        with warnings.catch_warnings():
            # numpy 2.4.0 to 2.4.4 warn about the dtype notation in the official CIFAR batches
            warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
            return located(root=str(folder), download=False, **arguments)
    except (RuntimeError, OSError) as error:
        for name, md5 in checksums:
            if not (folder / name).is_file():
                raise FileError(f"The data set {reader} is incomplete: {folder} has no {name}.") from error
            if not check_integrity(folder / name, md5):
                raise FileError(
                    f"{folder / name} is damaged, or not the published file: its MD5 is not {md5}.",
                    hint="Delete it, then download it again with --download.",
                ) from error
        raise FileError(f"torchvision cannot read {reader} in {folder}: {_sentence(error)}.") from error


def _complete(folders: Sequence[Path], files: Sequence[Sequence[str]]) -> Path | None:
    return next((folder for folder in folders if not _missing(folder, files)), None)


def _missing(folder: Path, files: Sequence[Sequence[str]]) -> list[str]:
    return [names[0] for names in files if find_file(folder, names) is None]


def _download(reader: str, root: Path, arguments: dict[str, Any]) -> None:
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
            hint="Try again, or download the files yourself and name their folder with --data-dir DIR.",
        ) from error


def _torchvision_class(reader: str) -> Any:
    import torchvision.datasets

    return getattr(torchvision.datasets, reader)


def _sentence(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
