"""Closes an HDF5 file after a failed write, without writing to the disk again and without a crash.

After a failed write HDF5 keeps the data that it could not write and tries again when the file is closed and when the
process ends; there it fails with a segmentation fault (HDF5 2.0.0 on a full disk: 51 of 51 processes). Therefore the
file descriptor below HDF5 is replaced by one that accepts every write (then 0 of 114). The file on the disk is in the
state that a kill would have left, and SWMR keeps that readable.
"""

from __future__ import annotations

import os
from contextlib import suppress

import h5py

from ffprobe.store.hdf5_errors import HDF5_FAILURES


def abandon(file: h5py.File) -> None:
    """Close the file in its state on the disk; raises nothing, and does nothing if the file is closed.

    The file must not be used again, not even flushed: HDF5 may be in an inconsistent state.
    """
    if not file:
        return
    with suppress(*HDF5_FAILURES, AttributeError):
        # not a temporary file: a limit on file sizes (ulimit -f) would apply to it as well
        nowhere = os.open(os.devnull, os.O_RDWR)
        try:
            os.dup2(nowhere, file.id.get_vfd_handle(), inheritable=False)
        finally:
            os.close(nowhere)
    with suppress(*HDF5_FAILURES):
        file.close()
