"""The number of times that HDF5 reads a piece of metadata again when its checksum is wrong.

In SWMR mode it tries a hundred times with pauses, since a writer may be in the middle of an update. On a damaged file
without a writer nothing will change, and the pauses add up to minutes per object (measured: 16 of 30 damaged partials
took longer than 6 s to open). h5py does not expose the setting, so it is set through the library that h5py has loaded;
if that library is not found, HDF5's default stays.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import h5py

WHILE_WRITTEN = 100
"""HDF5's default for SWMR."""


def open_swmr(path: Path, locking: str, *, patient: bool) -> h5py.File:
    """Open a partial file for reading in SWMR mode; errors of h5py are not caught.

    Args:
        path: the file.
        locking: h5py's locking mode.
        patient: whether its writer may be alive, so that HDF5 retries.
    """
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    if locking == "best-effort":
        access.set_file_locking(True, True)
    set_attempts = _setter()
    if set_attempts is not None:
        set_attempts(access.id, WHILE_WRITTEN if patient else 1)
    flags = h5py.h5f.ACC_RDONLY | h5py.h5f.ACC_SWMR_READ
    return h5py.File(h5py.h5f.open(os.fsencode(path), flags, fapl=access))


@cache
def _setter() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
        loaded = {line.split()[-1] for line in lines if "libhdf5" in line and "libhdf5_hl" not in line}
        if len(loaded) != 1:
            return None
        function = ctypes.CDLL(loaded.pop()).H5Pset_metadata_read_attempts
    except (OSError, AttributeError, IndexError):
        return None
    function.argtypes, function.restype = [ctypes.c_int64, ctypes.c_uint], ctypes.c_int
    return function
