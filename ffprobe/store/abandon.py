"""Closes an HDF5 file whose disk takes no more, without another byte to the disk and without a crash.

After a failed write HDF5 keeps what it could not write and tries again, when the file is closed and when the process
ends; there it fails with a segmentation fault (HDF5 2.0.0 on a full disk: 51 of 51 processes). So the descriptor below
HDF5 is exchanged for one that takes everything (then 0 of 114). The file on the disk is what a kill would have left,
and SWMR keeps that readable.
"""

from __future__ import annotations

import os
from contextlib import suppress

import h5py

from ffprobe.store.hdf5_errors import HDF5_FAILURES


def abandon(file: h5py.File) -> None:
    """Close the file as it is on the disk; raises nothing, does nothing to a closed file.

    The file must not be touched again, not even flushed: HDF5 may be left between two of its steps.
    """
    if not file:
        return
    with suppress(*HDF5_FAILURES, AttributeError):
        # not a temporary file: a limit on the size of files (ulimit -f) would hold for it as well
        nowhere = os.open(os.devnull, os.O_RDWR)
        try:
            os.dup2(nowhere, file.id.get_vfd_handle(), inheritable=False)
        finally:
            os.close(nowhere)
    with suppress(*HDF5_FAILURES):
        file.close()
