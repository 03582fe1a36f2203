"""The runs that a view shows: their ids, and which of them changed since the last look."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ffprobe.analysis.runs.find import current_name, find_runs
from ffprobe.analysis.runs.listing import ListedRun, list_run
from ffprobe.errors import FfprobeError, FileError
from ffprobe.store.names import final_of

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

MAX_RUNS = 5_000
"""Runs in one view; a list of more than that is no help to a reader."""


@dataclass(frozen=True)
class CatalogEntry:
    """One run of a view.

    Attributes:
        id: short text that stays the same while the run trains, finishes and gets its final name.
        listed: its entry in a list of runs.
        revision: text that changes whenever the file has something new.
    """

    id: str
    listed: ListedRun
    revision: str


def run_id(path: Path) -> str:
    """Return the id of a run: 12 hexadecimal digits of the hash of the absolute path that it has when finished."""
    name = os.fsencode(os.path.abspath(final_of(path)))
    return hashlib.sha256(name).hexdigest()[:12]


class Catalog:
    """Finds the runs below some paths and remembers what it read of each, until the file changes.

    Args:
        paths: run files, and directories that are searched again at every ``refresh``.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        self._entries: dict[str, CatalogEntry] = {}
        self._stamps: dict[str, tuple[object, ...]] = {}
        self._lock = threading.Lock()
        self._looked = False

    def refresh(self) -> dict[str, str | None]:
        """Look at all files again.

        Returns:
            The revision of each run that is new or changed, by id; None for one that is gone.
        """
        with self._lock:
            present: dict[str, Path] = {}
            for path in self._found()[:MAX_RUNS]:
                key = run_id(path)
                # a finished file wins over the unfinished one of a run that started again at the same path
                if key not in present or present[key].name.endswith(".partial"):
                    present[key] = path
            changed: dict[str, str | None] = {key: None for key in self._entries if key not in present}
            for key in changed:
                del self._entries[key], self._stamps[key]
            for key, path in present.items():
                stamp = _stamp(path)
                if self._stamps.get(key) == stamp:
                    continue
                listed = list_run(path)
                self._stamps[key] = stamp if listed.path == path else ()
                entry = CatalogEntry(key, listed, _revision(listed, stamp))
                if key not in self._entries or self._entries[key].revision != entry.revision:
                    changed[key] = entry.revision
                self._entries[key] = entry
            self._entries = {key: self._entries[key] for key in present}
            self._looked = True
            return changed

    def entries(self) -> list[CatalogEntry]:
        """All runs as of the last look, in the order of their paths."""
        self._look_first()
        with self._lock:
            return list(self._entries.values())

    def entry(self, key: str) -> CatalogEntry:
        """The run with an id.

        Raises:
            FileError: there is none.
        """
        self._look_first()
        with self._lock:
            if key not in self._entries:
                raise UnknownRun()
            return self._entries[key]

    @contextmanager
    def opened(self, key: str) -> Iterator[RunFile]:
        """The run with an id, open for reading during the block.

        Raises:
            FileError: there is none, or it cannot be read.
        """
        from ffprobe.store.caps import VIEW_LIMIT
        from ffprobe.store.reader import open_run

        with open_run(current_name(self.entry(key).listed.path), limit=VIEW_LIMIT) as run:
            yield run

    def _look_first(self) -> None:
        if not self._looked:  # the server answers before a thousand files have been read
            self.refresh()

    def _found(self) -> list[Path]:
        files: dict[str, Path] = {}
        for path in self.paths:
            try:
                found = find_runs(current_name(path))
            except FfprobeError:  # a run that was deleted, or a directory that is not there any more
                continue
            for file in found:
                files.setdefault(os.path.abspath(file), file)
        return list(files.values())


class UnknownRun(FileError):
    """No run of the view has this id."""

    def __init__(self) -> None:
        super().__init__("There is no such run in this view.", hint="It may have been deleted; look at the list.")


def _stamp(path: Path) -> tuple[object, ...]:
    """What tells without opening a file that it changed; for an unfinished one also whether a process writes it."""
    from ffprobe.store.file_lock import is_held
    from ffprobe.store.names import is_partial

    try:
        status = path.stat()
    except OSError:
        return (str(path), "gone")
    held = is_partial(path) and is_held(path)
    return str(path), status.st_mtime_ns, status.st_size, status.st_ino, held


def _revision(listed: ListedRun, stamp: tuple[object, ...]) -> str:
    return hashlib.sha256(repr((listed.state, listed.epochs, stamp)).encode(errors="surrogateescape")).hexdigest()[:12]
