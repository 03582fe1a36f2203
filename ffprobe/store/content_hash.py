"""The hash of everything in a run file, by which numbers that were computed from it are found again."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

BLOCK = 1 << 22
_known: WeakKeyDictionary[RunFile, str] = WeakKeyDictionary()


def content_hash(run: RunFile) -> str:
    """Return the SHA-256 of all bytes of a finished run file; empty for an unfinished one, which still changes.

    All bytes are read, because nothing smaller is the content: run id, size and time stay the same in a file that was
    edited, copied or restored, and attributes stay the same when an array changes. One gigabyte takes about a second,
    once per open file. The bytes are those of the open file, even if another file has its name by now.
    """
    if not run.complete or not hasattr(os, "pread"):  # Windows: no way to read beside HDF5 from the same open file
        return ""
    if run not in _known:
        digest, offset, descriptor = hashlib.sha256(), 0, run._file.id.get_vfd_handle()
        while block := os.pread(descriptor, BLOCK, offset):
            digest.update(block)
            offset += len(block)
        _known[run] = digest.hexdigest()
    return _known[run]
