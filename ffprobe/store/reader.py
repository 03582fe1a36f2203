"""Opens a run file (finished, still being written, or killed) and reads its committed part."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import h5py
import numpy as np

from ffprobe.errors import FileError, nearest
from ffprobe.store.attributes import read_attributes
from ffprobe.store.caps import MAX_MESSAGE
from ffprobe.store.commits import Commits, grows, read_commits
from ffprobe.store.contents import Contents, contents
from ffprobe.store.file_lock import is_held
from ffprobe.store.hdf5_errors import HDF5_FAILURES, as_file_error, errno_of, file_error
from ffprobe.store.layout import LOCKING
from ffprobe.store.names import PARTIAL, is_partial
from ffprobe.store.recorded import RecordedArray, closed
from ffprobe.store.renamed_settings import current_names
from ffprobe.store.retries import open_swmr
from ffprobe.store.schema import FORMAT, Schema, standard_ranks
from ffprobe.store.schema_reader import dims_of, schema_of
from ffprobe.store.stored import check_fixed, check_rows

if TYPE_CHECKING:
    import xarray
    from rich.console import Group

LIMIT = 4 << 30
"""Default maximum memory of one read, in bytes."""


def open_run(path: str | Path, *, limit: int = LIMIT, held_here: bool = False) -> RunFile:
    """Open a run file for reading.

    A ``.partial`` can be opened while its writer is alive and after it was killed or closed. The view is a snapshot of
    what is committed at this moment.

    Args:
        path: ``run.h5`` or ``run.h5.partial``.
        limit: maximum memory of one read, in bytes.
        held_here: whether this process holds the lock of the partial file, so that no writer can be alive.

    Raises:
        FileError: the file is missing, exists only as ``.partial``, is damaged, was not written by ffprobe, or has a
            newer format.
    """
    return RunFile.open(path, limit=limit, held_here=held_here)


class RunFile:
    """An open run file; get one from :func:`open_run`. It is also a context manager.

    Attributes:
        path: path of the file.
        complete: whether the run finished, that is, whether the name does not end in ``.partial``.
        attributes: attributes of the root group, as str, int, float and lists.
    """

    def __init__(self, path: Path, file: h5py.File, limit: int, attributes: dict[str, object]) -> None:
        self.path, self._file, self._limit = path, file, limit
        self.complete = not is_partial(path)
        self.attributes = attributes
        self._names: dict[str, frozenset[str]] = {}  # paths of arrays, by top-level group
        if self.complete:  # a file without the commit record is refused here; its commits are read on demand
            read_commits(contents(file, "commit").datasets)
        else:  # a snapshot of the commits at this moment
            self.commits  # noqa: B018
        self._size = _size_of(file)  # read after the commits, which are in the file by then
        self._checked: set[str] = set()  # growing groups whose committed rows are known to be stored

    @classmethod
    def open(cls, path: str | Path, *, limit: int = LIMIT, held_here: bool = False) -> Self:
        """Like :func:`open_run`, for this class or a subclass."""
        path = Path(path)
        file = _open(path, held_here)
        try:
            with as_file_error(path, "The run file is damaged"):
                attributes = read_attributes(file)
                _check_format(attributes, path)
                return cls(path, file, limit, attributes)
        except BaseException:
            file.close()
            raise

    @property
    def config(self) -> dict[str, Any]:
        """The resolved config, from the root attribute ``config_json``; empty if there is none.

        Settings have their current names, even if the file has those of version 0.1.0.

        Raises:
            FileError: it is not a JSON object.
        """
        try:
            config = json.loads(str(self.attributes.get("config_json", "{}")))
        except (ValueError, RecursionError) as error:
            raise FileError("The config in the run file is not valid JSON.", where=str(self.path)) from error
        if not isinstance(config, dict):
            raise FileError("The config in the run file is not a JSON object.", where=str(self.path))
        return current_names(config)

    @cached_property
    def schema(self) -> Schema:
        """The schema of the file, read from the file; raises FileError if ffprobe did not write it."""
        with as_file_error(self.path, "The run file is damaged"):
            return schema_of(self._file, self._contents)

    @cached_property
    def commits(self) -> Commits:
        """The valid commits; raises FileError if the commit record is missing or damaged."""
        with as_file_error(self.path, "The run file is damaged"):
            return read_commits(self._contents.datasets)

    @property
    def committed(self) -> int:
        """Number of valid commits."""
        return len(self.commits)

    @property
    def epochs(self) -> int:
        """Number of committed epochs."""
        return self._lengths.get("metrics/epoch", 0)

    def groups(self) -> list[str]:
        """The path of every group, sorted."""
        return sorted(self._contents.groups)

    def group_attributes(self, group: str) -> dict[str, object]:
        """The attributes of a group; raises FileError if there is no such group."""
        groups = self._contents.groups
        if group.strip("/") not in groups:
            raise self._missing(group, groups)
        return read_attributes(groups[group.strip("/")])

    def paths(self) -> list[str]:
        """The path of every array, including scales, sorted."""
        return sorted(self._contents.datasets)

    def has(self, path: str) -> bool:
        """Whether there is an array with this path."""
        return self._readable(path.strip("/"))

    def variable(self, path: str) -> RecordedArray:
        """An array that is read on demand.

        Raises:
            FileError: there is no array with this path (the hint has the nearest one), or it cannot be read.
        """
        path = path.strip("/")
        if not self._readable(path):
            raise self._missing(path, self._contents.datasets)
        with as_file_error(self.path, "The run file is damaged"):
            dataset = self._dataset(path)
            rank = standard_ranks().get(path, len(dataset.shape))
            if len(dataset.shape) != rank:
                what = f"{path} has {len(dataset.shape)} dimensions; in a run file it has {rank}."
                raise FileError(what, where=str(self.path), hint="The file was changed, or another program wrote it.")
            length = self._committed_length(path) if grows(dataset) else None
            if length is None:
                check_fixed(path, dataset, self._size)
            filename, group = str(self.path), path.rpartition("/")[0]

            def sibling(name: str) -> RecordedArray | None:
                other = f"{group}/{name}" if group else name
                return self.variable(other) if self.has(other) else None

            return RecordedArray(path, dataset, dims_of(path, dataset), length, self._limit, filename, sibling)

    def __getitem__(self, path: str) -> RecordedArray:
        """Like :meth:`variable`: ``run["test/goodness"][-1]``."""
        return self.variable(path)

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self.has(path)

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths())

    def _ipython_key_completions_(self) -> list[str]:
        return self.paths()

    def to_xarray(self, group: str) -> xarray.Dataset:
        """The arrays of one group, such as ``metrics``; values are read on demand, so keep the run open.

        Raises:
            UsageError: xarray is not installed.
            FileError: there is no such group.
        """
        from ffprobe.store.labelled import data_set

        return data_set(self, group)

    def read(self, path: str) -> np.ndarray:
        """The whole committed array; labels as an object array of str, a scalar as an array of shape ().

        Raises:
            FileError: as in :meth:`variable`, or the array is larger than the limit.
        """
        return np.asarray(self.variable(path)[...])

    def messages(self, last: int | None = None) -> list[tuple[int, str]]:
        """The log: (number of optimizer steps done, text), oldest first.

        Args:
            last: read only this number of entries, the latest ones; None for all.

        Raises:
            FileError: the log has another layout than that of a run.
        """
        if not self.has("log/message"):
            return []
        steps, texts = self.variable("log/step"), self.variable("log/message")
        if steps.ndim != 1 or texts.ndim != 2 or texts.shape[1] > MAX_MESSAGE:
            raise FileError("The run file's log has a wrong shape.", where=str(self.path))
        first = 0 if last is None else max(0, len(steps) - last)
        return [
            (int(step), text.tobytes().rstrip(b"\0").decode("utf-8", "replace"))
            for step, text in zip(steps[first:], texts[first:], strict=True)
        ]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The committed shape of every array, including scales, by path and sorted; reads no array."""
        shapes = {}
        with as_file_error(self.path, "The run file is damaged"):
            for path, dataset in sorted(self._contents.datasets.items()):
                shape = tuple(int(n) for n in dataset.shape)
                shapes[path] = (self._committed_length(path), *shape[1:]) if grows(dataset) else shape
        return shapes

    @property
    def nbytes(self) -> int:
        """Size of the file in bytes when it was opened."""
        return self._size

    def close(self) -> None:
        """Close the file; does nothing the second time."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "complete" if self.complete else "unfinished"
        if not self._file:
            return f"<run {self.path} {state}, closed>"
        return f"<run {self.path} {state}, {self.epochs} epochs, {len(self.paths())} arrays>"

    def __rich__(self) -> Group | str:
        from ffprobe.store.overview import overview, terminal_view

        return terminal_view(overview(self)) if self._file else repr(self)

    def _repr_html_(self) -> str | None:
        from ffprobe.store.overview import notebook_view, overview

        return notebook_view(overview(self)) if self._file else None

    @cached_property
    def _contents(self) -> Contents:
        self._refuse_if_closed()
        with as_file_error(self.path, "The run file is damaged"):
            return contents(self._file)

    def _readable(self, path: str) -> bool:
        """Whether there is such an array; only its top-level group of the file is listed.

        Only names are kept: with a thousand files open, each object that is kept makes h5py slower at closing files.
        """
        self._refuse_if_closed()
        top = path.partition("/")[0]
        if "_contents" in self.__dict__ or not top:
            return path in self._contents.datasets
        if top not in self._names:
            with as_file_error(self.path, "The run file is damaged"):
                self._names[top] = frozenset(contents(self._file, top).datasets)
        return path in self._names[top]

    def _refuse_if_closed(self) -> None:
        if not self._file:
            raise closed(str(self.path))

    def _dataset(self, path: str) -> h5py.Dataset:
        return self._contents.datasets[path] if "_contents" in self.__dict__ else self._file[path]

    @cached_property
    def _lengths(self) -> dict[str, int]:
        return self.commits.at()

    @cached_property
    def _group_lengths(self) -> dict[str, int]:
        return {dimension.rpartition("/")[0]: n for dimension, n in self._lengths.items()}

    @cached_property
    def _growing_dimensions(self) -> dict[str, str]:
        return {dimension.rpartition("/")[0]: dimension for dimension in self._lengths}

    def _committed_length(self, path: str) -> int:
        group = path.rpartition("/")[0]
        if group == "commit":
            return int(self._dataset(path).shape[0])
        length = self._group_lengths.get(group, 0)
        if length and group not in self._checked:
            dimension = self._growing_dimensions[group]
            check_rows(dimension, self._dataset(dimension) if self.has(dimension) else None, length, self._size)
            self._checked.add(group)
        return length

    def _missing(self, path: str, known: dict[str, Any]) -> FileError:
        if path in self._contents.refused:
            return FileError(f"{path} {self._contents.refused[path]}.", where=str(self.path))
        near = nearest(path, known)
        hint = (
            f"Did you mean {' or '.join(repr(n) for n in near)}?"
            if near
            else f"List its contents with `ffprobe show {self.path}`."
        )
        return FileError(f"The run file has no {path!r}.", where=str(self.path), hint=hint)


def _open(path: Path, held_here: bool) -> h5py.File:
    partial = is_partial(path)
    if not path.is_file():
        raise _missing_file(path)
    try:
        return (
            open_swmr(path, LOCKING, patient=not held_here and is_held(path))
            if partial
            else h5py.File(path, "r", locking=LOCKING)
        )
    except HDF5_FAILURES as error:
        raise _unreadable(path, error, partial) from error


def _size_of(file: h5py.File) -> int:
    """The size in bytes of an open file; its name may already be another one, since a run renames its file."""
    return os.fstat(file.id.get_vfd_handle()).st_size


def _missing_file(path: Path) -> FileError:
    if path.is_dir():
        return FileError("This is a directory, not a run file.", where=str(path), hint="Name a run.h5 inside it.")
    unfinished = path.with_name(path.name + PARTIAL)
    if not is_partial(path) and unfinished.is_file():
        return FileError(
            "The run has not finished: only its unfinished file exists.",
            where=str(unfinished),
            hint=f"Resume it with `ffprobe run --resume --out {path}`, or make it readable with "
            f"`ffprobe repair {unfinished}`.",
        )
    return FileError("There is no such run file.", where=str(path), hint="Check the spelling of the path.")


def _unreadable(path: Path, error: Exception, partial: bool) -> FileError:
    where, text = str(path), str(error)
    if isinstance(error, PermissionError):
        return file_error(error, path, "The run file could not be read")
    if isinstance(error, BlockingIOError) or errno_of(error) == 11:
        hint = "Try again in a moment." if partial else "Close the program that writes it."
        return FileError("The run file is open for writing in another process.", where=where, hint=hint)
    if partial:
        return FileError(
            "The unfinished file cannot be read: it is not HDF5, or its beginning is damaged.",
            where=where,
            hint="Start the run again with `ffprobe run --overwrite`.",
        )
    if "file is already open for write" in text or "flag" in text:
        hint = f"Rename it to {path.name}{PARTIAL}, then run `ffprobe repair {path}{PARTIAL}`."
        return FileError("The file was not closed by its writer.", where=where, hint=hint)
    if "truncated" in text:
        hint = "The copy is incomplete: copy the file again, or repeat the run."
        return FileError("The run file is truncated.", where=where, hint=hint)
    hint = "Name a file that `ffprobe run` wrote."
    return FileError("This is not an HDF5 file, or its beginning is damaged.", where=where, hint=hint)


def _check_format(attributes: dict[str, object], path: Path) -> None:
    version = attributes.get("ffprobe_format")
    if not isinstance(version, int):
        hint = "Name a file that `ffprobe run` wrote; open any other HDF5 file with h5py or xarray."
        raise FileError("This HDF5 file was not written by ffprobe.", where=str(path), hint=hint)
    if version > FORMAT:
        raise FileError(
            f"The run file has format {version}; this version of ffprobe reads formats up to {FORMAT}.",
            where=str(path),
            hint="Install a newer version with `pip install --upgrade ffprobe-nn`.",
        )
