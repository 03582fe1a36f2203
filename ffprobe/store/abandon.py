"""Closes an HDF5 file whose disk takes no more, without another byte to the disk and without a crash.

After a failed write HDF5 keeps what it could not write and tries again when the file is closed and once more when the
process ends, where it fails with a segmentation fault (measured with HDF5 2.0.0 on a full disk: 46 of 57 processes). So the
descriptor below HDF5 is exchanged for one that takes everything. The file on the disk is then what a kill would have left,
which is what SWMR keeps readable.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress

import h5py

from ffprobe.store.faults import HDF5_FAILURES


def abandon(file: h5py.File) -> None:
    """Close the file as it is on the disk; raises nothing, does nothing to a closed file."""
    if not file:
        return
    with suppress(*HDF5_FAILURES, AttributeError):
        nowhere = _nowhere()
        try:
            os.dup2(nowhere, file.id.get_vfd_handle(), inheritable=False)
        finally:
            os.close(nowhere)
    with suppress(*HDF5_FAILURES):
        file.close()


def _nowhere() -> int:
    """A descriptor that takes what HDF5 has left; it must be truncatable, as /dev/null is not."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("ffprobe-abandoned")
    with tempfile.TemporaryFile() as nowhere:
        return os.dup(nowhere.fileno())
