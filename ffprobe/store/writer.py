"""Writes a run file so that a kill at any moment costs at most what was not committed.

Everything is created first, under another name, then HDF5's SWMR mode keeps the file readable at every moment, and each
commit is a row of lengths with its checksum, written after the data it stands for has reached the disk.
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
from ffprobe.store.hdf5_errors import HDF5_FAILURES, told
from ffprobe.store.layout import check_schema, new_file, room_for
from ffprobe.store.names import claim, final_of, fresh, partial_of, refuse_finished, rewrite_of
from ffprobe.store.reader import open_run
from ffprobe.store.rewrite import refuse_other_layout, rewritten
from ffprobe.store.rows import as_array, fitted, growing_groups, region_shape, text_row
from ffprobe.store.schema import Schema


class RunWriter:
    """The one writer of a run file; get one from :meth:`create` or :meth:`resume`.

    A context manager: leaving it without :meth:`finish` closes the file and keeps it as ``.partial``. Every method that
    writes raises :class:`~ffprobe.errors.FileError` when the disk or HDF5 fails; from then on every further one raises
    the same error, ``close`` raises nothing, and the earlier commits stay readable.

    Attributes:
        path: the final name, ``run.h5``.
        partial: the name until the run finishes.
        committed: how many commits there are.
    """

    def __init__(self, path: Path, partial: Path, file: h5py.File, hold: FileLock, *, overwrite: bool) -> None:
        self.path, self.partial = path, partial
        self._file, self._hold, self._overwrite = file, hold, overwrite
        self._failure: FileError | None = None
        self._open = True
        datasets = contents(file).datasets
        self._fixed = {p: d for p, d in datasets.items() if not grows(d) and not d.is_scale}
        self._record = {p: datasets[p] for p in (LENGTH, CHECKSUM, COMMIT)}
        self._columns = [str(name) for name in datasets[DIMENSION].asstr()[:]]
        self._groups = growing_groups(datasets, self._columns)
        self.committed = int(self._record[LENGTH].shape[0])
        self._changed = self.committed == 0

    @classmethod
    def create(cls, path: str | Path, schema: Schema, *, overwrite: bool = False) -> RunWriter:
        """Begin a new run file.

        Args:
            path: the final name; ``path.partial`` is what is written.
            schema: everything that the file will hold.
            overwrite: throw away an unfinished file of that name once the new one is laid out, and a finished one when
                this run finishes.

        Raises:
            UsageError: there is a finished or an unfinished file and ``overwrite`` was not asked.
            FileError: the place cannot be written, or another process is writing there.
            ValueError: the schema contradicts itself.
        """
        path, partial = final_of(path), partial_of(path)
        check_schema(schema)
        refuse_finished(path, overwrite)
        new, hold, old = claim(partial, overwrite)
        try:
            with told(partial, "The run file could not be created"):
                hold.reserve(room_for(schema))
                file = new_file(new, schema)
                return _begin(cls, path, partial, new, file, hold, overwrite)
        except BaseException:
            new.unlink(missing_ok=True)
            hold.close()
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
        """Go on with an unfinished run file, whatever ended its last writer.

        The file is rewritten up to the commit and then put in the old one's place in one step, so a kill meanwhile
        costs nothing. Attributes stay those of the run as it was begun.

        Args:
            path: the final name.
            schema: the same layout as before (attributes and texts may differ).
            commit: which commit to go back to, from 0; None for the last one.
            attributes: of the root, to add or replace.
            overwrite: whether a finished file of that name may be replaced when this run finishes.

        Raises:
            UsageError: there is nothing to resume, another layout, or a finished file.
            FileError: the file cannot be read or written, has no such commit, or another process is writing it.
        """
        path, partial = final_of(path), partial_of(path)
        refuse_finished(path, overwrite)
        if not partial.is_file():
            raise UsageError("There is no unfinished run to resume.", where=str(partial), hint="Run without --resume.")
        old, rewrite = FileLock(partial), rewrite_of(partial)
        try:
            with open_run(partial, held_here=True) as source:
                refuse_other_layout(partial, schema, source.schema)
                hold = fresh(rewrite)
                try:
                    with told(rewrite, "The run file could not be rewritten"):
                        hold.reserve(partial.stat().st_size)
                        file = rewritten(source, rewrite, commit=commit, attributes=attributes)
                        return _begin(cls, path, partial, rewrite, file, hold, overwrite)
                except BaseException:
                    rewrite.unlink(missing_ok=True)
                    hold.close()
                    raise
        finally:
            old.close()

    def append(self, group: str, values: Mapping[str, object]) -> None:
        """Add one row to a group.

        Args:
            group: as ``metrics``.
            values: by name in the group, each of the shape of one row. What is missing is NaN (-1, 0 for whole
                numbers). The growing dimension's own label counts up when it is not given.

        Raises:
            ValueError: no such group or name, or a value that does not fit; nothing is then added.
            FileError: it cannot be written.
        """
        self._add(group, values, None)

    def extend(self, group: str, values: Mapping[str, object]) -> None:
        """Add several rows to a group: as :meth:`append`, every value with a first axis, all of the same length."""
        arrays = {name: as_array(f"{group}/{name}", value) for name, value in values.items()}
        lengths = {name: array.shape[:1] for name, array in arrays.items()}
        if len(set(lengths.values())) != 1 or () in lengths.values():
            raise ValueError(f"{group}: the values must share a first axis; theirs are {lengths}.")
        self._add(group, arrays, next(iter(lengths.values()))[0])

    def put(self, path: str, value: object, index: Any = None) -> None:
        """Write an array of fixed size, or the part of it that ``index`` names.

        It is safe after the next :meth:`commit`. Readers see it at once, and going back to an earlier commit does not
        undo it, so only a finished file vouches for it.

        Raises:
            ValueError: no such array, an index outside, or a value that does not fit.
            FileError: it cannot be written.
        """
        self._ready()
        path = path.strip("/")
        dataset = self._fixed.get(path)
        if dataset is None:
            raise ValueError(f"{path} is not an array of fixed size in this file.")
        array = fitted(path, value, region_shape(path, dataset.shape, index), dataset.dtype)
        with self._guard():
            dataset[() if index is None else index] = array

    def log(self, step: int, text: str) -> None:
        """Add an entry to the group ``log``; the text is cut to what its row holds, between two characters.

        Raises:
            ValueError: the schema has no log.
            FileError: it cannot be written.
        """
        self._ready()
        if "log/message" not in self._file:
            raise ValueError("log/message is not in this file.")
        self.append("log", {"step": step, "message": text_row(text, self._file["log/message"].shape[1])})

    def commit(self) -> int:
        """Make everything so far durable, first the data, then the record that vouches for it.

        Returns:
            The number of this commit, from 0: what :meth:`resume` takes.

        Raises:
            FileError: it cannot be written; the commit then did not happen.
        """
        self._ready()
        with self._guard():
            for group in self._groups.values():
                group.write()
            self._file.flush()
            self._hold.sync()  # or a power cut could keep the record and lose what it stands for
            row = [self._groups[column.rpartition("/")[0]].length for column in self._columns]
            at = append_commit(self._record, row)
            self._file.flush()
            self._hold.sync()
        self.committed, self._changed = at + 1, False
        return at

    def finish(self) -> Path:
        """Commit rows that are not yet committed, close the file and give it its final name.

        Returns:
            The final name.

        Raises:
            FileError: it cannot be written, or a file of the final name appeared meanwhile; the partial is kept.
        """
        self._ready()
        if self._changed:
            self.commit()
        with self._guard():
            self._file.close()
            self._hold.sync()
            if self.path.exists() and not self._overwrite:
                raise FileError(
                    "A finished file of this name appeared while the run went on.",
                    where=str(self.path),
                    hint=f"This run is complete in {self.partial}; give it another name by hand.",
                )
            os.replace(self.partial, self.path)
            sync_directory(self.path.parent)
        self._open = False
        self._hold.close()
        return self.path

    def close(self) -> None:
        """Close the file and leave it unfinished; rows since the last commit are lost. Raises nothing, ever."""
        if not self._open:
            return
        self._open = False
        if self._failure is None:  # after a failure the file is abandoned already, and to touch it again may crash
            try:
                self._file.flush()  # if the disk is full, better told here than by close, which cannot be repeated
                self._file.close()
            except HDF5_FAILURES:
                abandon(self._file)
        self._hold.close()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<writer of {self.partial}, {self.committed} commits{'' if self._open else ', closed'}>"

    def _add(self, group: str, values: Mapping[str, object], rows: int | None) -> None:
        self._ready()
        growing = self._groups.get(group.strip("/"))
        if growing is None:
            raise ValueError(f"{group} is not a group that grows; these do: {', '.join(sorted(self._groups))}.")
        growing.add(values, rows)
        self._changed = True
        if growing.full:
            with self._guard():
                growing.write()

    def _ready(self) -> None:
        if self._failure is not None:
            raise self._failure
        if not self._open:
            raise ValueError(f"The writer of {self.path} is closed.")

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            with told(self.partial, "The run file could not be written", resumable=self.committed > 0):
                yield
        except FileError as error:
            self._failure = error
            abandon(self._file)
            raise


def _begin(
    cls: type[RunWriter], path: Path, partial: Path, at: Path, file: h5py.File, hold: FileLock, overwrite: bool
) -> RunWriter:
    """Start SWMR on a file that is laid out, make it durable and put it in place."""
    try:
        file.swmr_mode = True  # from here on nothing may be created
        file.flush()
        hold.sync()
        writer = cls(path, partial, file, hold, overwrite=overwrite)
        os.replace(at, partial)
        sync_directory(partial.parent)
    except BaseException:
        abandon(file)
        raise
    return writer
