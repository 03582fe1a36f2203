"""Writes a run file; a kill at any moment loses only what was not committed.

Everything is created first, under another name. Then HDF5's SWMR mode keeps the file readable at every moment. A commit
is a row of lengths with its checksum, written after the data that it covers has reached the disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py

from ffprobe.errors import FileError, UsageError
from ffprobe.store.abandon import abandon
from ffprobe.store.commits import CHECKSUM, COMMIT, DIMENSION, LENGTH, append_commit, grows
from ffprobe.store.contents import contents
from ffprobe.store.file_lock import FileLock, sync_directory
from ffprobe.store.hdf5_errors import HDF5_FAILURES, as_file_error
from ffprobe.store.layout import check_schema, new_file, room_for
from ffprobe.store.names import claim, final_of, fresh, partial_of, refuse_finished, rewrite_of
from ffprobe.store.reader import open_run
from ffprobe.store.rewrite import refuse_other_layout, rewritten
from ffprobe.store.rows import as_array, fitted, growing_groups, region_shape, text_row
from ffprobe.store.schema import Schema


class RunWriter:
    """The writer of a run file; get one from :meth:`create` or :meth:`resume`.

    It is a context manager: leaving it without :meth:`finish` closes the file and keeps it as ``.partial``. Every
    method that writes raises :class:`~ffprobe.errors.FileError` if the disk or HDF5 fails; after that every further
    call raises the same error, ``close`` raises nothing, and earlier commits stay readable.

    Attributes:
        path: the final name, ``run.h5``.
        partial: the name until the run finishes.
        committed: number of commits.
        arrays: the path of every array in the file.
    """

    def __init__(self, path: Path, partial: Path, file: h5py.File, lock: FileLock, *, overwrite: bool) -> None:
        self.path, self.partial = path, partial
        self._file, self._lock, self._overwrite = file, lock, overwrite
        self._failure: FileError | None = None
        self._open = True
        datasets = contents(file).datasets
        self.arrays = frozenset(datasets)
        self._fixed = {p: d for p, d in datasets.items() if not grows(d) and not d.is_scale}
        self._record = {p: datasets[p] for p in (LENGTH, CHECKSUM, COMMIT)}
        self._columns = [str(name) for name in datasets[DIMENSION].asstr()[:]]
        self._groups = growing_groups(datasets, self._columns)
        self.committed = int(self._record[LENGTH].shape[0])
        self._changed = self.committed == 0

    @classmethod
    def create(cls, path: str | Path, schema: Schema, *, overwrite: bool = False, discard: bool = False) -> RunWriter:
        """Create a new run file.

        Args:
            path: the final name; the file is written as ``path.partial``.
            schema: everything that the file will contain.
            overwrite: discard an unfinished file of that name once the new one is created, and replace a finished file
                when this run finishes.
            discard: discard an unfinished file of that name, but never replace a finished one.

        Raises:
            UsageError: a finished or unfinished file exists and ``overwrite`` is False.
            FileError: the file cannot be written, or another process is writing it.
            ValueError: the schema is inconsistent.
        """
        path, partial = final_of(path), partial_of(path)
        check_schema(schema)
        refuse_finished(path, overwrite)
        new, lock, old = claim(partial, overwrite or discard)
        try:
            refuse_finished(path, overwrite)  # again: another run may have finished before the name was claimed
            with as_file_error(partial, "The run file could not be created"):
                lock.reserve(room_for(schema))
                file = new_file(new, schema)
                return _begin(cls, path, partial, new, file, lock, overwrite)
        except BaseException:
            new.unlink(missing_ok=True)
            lock.close()
            raise
        finally:
            if old is not None:
                old.close()

    @classmethod
    def resume(
        cls,
        path: str | Path,
        schema: Schema,
        *,
        commit: int | None = None,
        attributes: Mapping[str, object] | None = None,
        overwrite: bool = False,
    ) -> RunWriter:
        """Continue an unfinished run file, whatever ended its last writer.

        The file is rewritten up to the commit and then replaces the old file in one step, so that a kill in between
        loses nothing. Attributes stay those of the original run.

        Args:
            path: the final name.
            schema: the same layout as before (attributes and texts may differ).
            commit: the commit to continue from, from 0; None for the last one.
            attributes: root attributes to add or replace.
            overwrite: whether a finished file of that name may be replaced when this run finishes.

        Raises:
            UsageError: there is no unfinished file, its layout differs, or a finished file exists.
            FileError: the file cannot be read or written, has no such commit, or another process is writing it.
        """
        path, partial = final_of(path), partial_of(path)
        refuse_finished(path, overwrite)
        if not partial.is_file():
            raise UsageError(
                "There is no unfinished run to resume.", where=str(partial), hint="Start it without --resume."
            )
        old, rewrite = FileLock(partial), rewrite_of(partial)
        try:
            refuse_finished(path, overwrite)  # again: another run may have finished before this lock was taken
            with open_run(partial, held_here=True) as source:
                refuse_other_layout(partial, schema, source.schema)
                lock = fresh(rewrite)
                try:
                    with as_file_error(rewrite, "The run file could not be rewritten"):
                        lock.reserve(partial.stat().st_size)
                        file = rewritten(source, rewrite, commit=commit, attributes=attributes)
                        return _begin(cls, path, partial, rewrite, file, lock, overwrite)
                except BaseException:
                    rewrite.unlink(missing_ok=True)
                    lock.close()
                    raise
        finally:
            old.close()

    def append(self, group: str, values: Mapping[str, object]) -> None:
        """Add one row to a group.

        Args:
            group: path of the group, such as ``metrics``.
            values: values by name in the group, each with the shape of one row. Missing values become NaN (-1 or 0 in
                integer arrays). The label of the growing dimension counts up if it is not given.

        Raises:
            ValueError: there is no such group or name, or a value has a wrong shape or dtype; nothing is added then.
            FileError: the file cannot be written.
        """
        self._add(group, values, None)

    def extend(self, group: str, values: Mapping[str, object]) -> None:
        """Add several rows to a group: like :meth:`append`, but every value has a first axis of the same length."""
        arrays = {name: as_array(f"{group}/{name}", value) for name, value in values.items()}
        lengths = {name: array.shape[:1] for name, array in arrays.items()}
        if len(set(lengths.values())) != 1 or () in lengths.values():
            raise ValueError(f"{group}: the first axes of all values must have one length; they are {lengths}.")
        self._add(group, arrays, next(iter(lengths.values()))[0])

    def put(self, path: str, value: object, index: Any = None) -> None:
        """Write an array of fixed size, or the part of it that ``index`` selects.

        It is durable after the next :meth:`commit`. Readers see it immediately, and resuming from an earlier commit
        does not undo it, so its value is only certain in a finished file.

        Raises:
            ValueError: there is no such array, the index is out of range, or the value has a wrong shape or dtype.
            FileError: the file cannot be written.
        """
        self._check_open()
        path = path.strip("/")
        dataset = self._fixed.get(path)
        if dataset is None:
            raise ValueError(f"{path} is not an array of fixed size in this file.")
        array = fitted(path, value, region_shape(path, dataset.shape, index), dataset.dtype)
        with self._guard():
            dataset[() if index is None else index] = array

    def log(self, step: int, text: str) -> None:
        """Add an entry to the group ``log``; a text longer than a row is cut between two characters.

        Raises:
            ValueError: the schema has no log.
            FileError: the file cannot be written.
        """
        self._check_open()
        if "log/message" not in self._file:
            raise ValueError("log/message is not in this file.")
        self.append("log", {"step": step, "message": text_row(text, self._file["log/message"].shape[1])})

    def commit(self) -> int:
        """Make everything so far durable: first the data, then the row of the commit record.

        Returns:
            The number of this commit, from 0, for :meth:`resume`.

        Raises:
            FileError: the file cannot be written; the commit did not happen.
        """
        self._check_open()
        with self._guard():
            self._check_own()
            for group in self._groups.values():
                group.write()
            self._file.flush()
            self._lock.sync()  # otherwise a power failure could keep the record and lose the data
            row = [self._groups[column.rpartition("/")[0]].length for column in self._columns]
            at = append_commit(self._record, row)
            self._file.flush()
            self._lock.sync()
        self.committed, self._changed = at + 1, False
        return at

    def finish(self) -> Path:
        """Commit pending rows, close the file and rename it to its final name.

        Returns:
            The final name.

        Raises:
            FileError: the file cannot be written, or a file with the final name was created meanwhile; the partial file
                is kept.
        """
        self._check_open()
        if self._changed:
            self.commit()
        with self._guard():
            self._file.close()
            self._lock.sync()
            self._check_own()
            if self.path.exists() and not self._overwrite:
                raise FileError(
                    "A finished file of this name was created during the run.",
                    where=str(self.path),
                    hint=f"This run is complete in {self.partial}; rename that file by hand.",
                )
            os.replace(self.partial, self.path)
            sync_directory(self.path.parent)
        self._open = False
        self._lock.close()
        return self.path

    def close(self) -> None:
        """Close the file and leave it unfinished; rows since the last commit are lost. Never raises."""
        if not self._open:
            return
        self._open = False
        if self._failure is None:  # after a failure the file is abandoned already, and using it again may crash
            try:
                self._file.flush()  # a full disk should fail here and not in close, which cannot be repeated
                self._file.close()
            except HDF5_FAILURES:
                abandon(self._file)
        self._lock.close()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<writer of {self.partial}, {self.committed} commits{'' if self._open else ', closed'}>"

    def _add(self, group: str, values: Mapping[str, object], rows: int | None) -> None:
        self._check_open()
        growing = self._groups.get(group.strip("/"))
        if growing is None:
            known = ", ".join(sorted(self._groups))
            raise ValueError(f"{group} is not a growing group; the growing groups are {known}.")
        growing.add(values, rows)
        self._changed = True
        if growing.full:
            with self._guard():
                growing.write()

    def _check_own(self) -> None:
        # otherwise a run whose file was deleted or replaced meanwhile would report a success that nobody can find
        if not self._lock.is_at(self.partial):
            raise FileError(
                "The unfinished run file was deleted or replaced while the run was writing it.",
                where=str(self.partial),
                hint="The file of that name is not from this run. Start again under another name with --out.",
            )

    def _check_open(self) -> None:
        if self._failure is not None:
            raise self._failure
        if not self._open:
            raise ValueError(f"The writer of {self.path} is closed.")

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            with as_file_error(self.partial, "The run file could not be written", resumable=self.committed > 0):
                yield
        except FileError as error:
            self._failure = error
            abandon(self._file)
            raise


def _begin(
    cls: type[RunWriter], path: Path, partial: Path, at: Path, file: h5py.File, lock: FileLock, overwrite: bool
) -> RunWriter:
    """Start SWMR on a file in which everything is created, make it durable and rename it to the partial name."""
    try:
        file.swmr_mode = True  # from here on nothing can be created
        file.flush()
        lock.sync()
        writer = cls(path, partial, file, lock, overwrite=overwrite)
        os.replace(at, partial)
        sync_directory(partial.parent)
    except BaseException:
        abandon(file)
        raise
    return writer
