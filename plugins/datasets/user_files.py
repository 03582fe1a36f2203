"""Finds the file of a data set that a user names below ``--data-dir``."""

from __future__ import annotations

from pathlib import Path

import ffprobe

LISTED = 8  # files that a message lists


def user_file(dataset: str, data_dir: Path | None, name: str, suffixes: tuple[str, ...], setting: str = "file") -> Path:
    """The path of a file; it is in ``--data-dir``, or it is ``--data-dir`` itself.

    A run file records the setting, so the setting must not be able to name any file of the machine that opens it.

    Args:
        dataset: name of the data set, for messages.
        data_dir: a folder, or a file; other names are then those of files beside it.
        name: the name of the file below the folder; empty if ``data_dir`` is the file.
        suffixes: endings of the files that the data set can read, for the list in a message.
        setting: the setting that has the name, for messages.

    Raises:
        UsageError: ``data_dir`` is missing, the name leaves the folder, or a folder needs a name.
        FileError: the file does not exist.
    """
    if data_dir is None:
        raise ffprobe.UsageError(
            f"The data set {dataset!r} needs --data-dir.",
            hint="Add --data-dir PATH, the path of the file or its folder.",
        )
    root = Path(data_dir).expanduser()
    if not name and not root.is_dir():
        return _existing(root, "Correct --data-dir.")
    folder = root.parent if root.is_file() else root
    if not name:
        raise ffprobe.UsageError(
            f"The data set {dataset!r} needs the name of a file in {folder}.",
            hint=f"Add --set dataset.{setting}=NAME. {_listed(folder, suffixes)}",
        )
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ffprobe.UsageError(
            f"The setting 'dataset.{setting}' cannot be {name!r}: it is the name of a file below --data-dir.",
            hint=f"Use --data-dir FOLDER --set dataset.{setting}=NAME.",
        )
    return _existing(folder / name, _listed(folder, suffixes))


def _existing(path: Path, hint: str) -> Path:
    if not path.is_file():
        raise ffprobe.FileError(f"There is no file {path}.", hint=hint)
    return path


def _listed(folder: Path, suffixes: tuple[str, ...]) -> str:
    names = sorted(path.name for path in folder.glob("*") if path.name.endswith(suffixes)) if folder.is_dir() else []
    if not names:
        return f"The folder has no file that ends in {', '.join(suffixes)}."
    return f"The folder has {', '.join(names[:LISTED])}{' ...' if len(names) > LISTED else ''}."
