"""How often HDF5 reads a piece of metadata again when its checksum is wrong.

In SWMR mode it tries a hundred times with pauses, since a living writer may be in the middle of it. On a damaged file
whose writer is gone nothing will change, and the pauses add up to minutes for each object (measured: 16 of 30 damaged
partials took longer than 6 s to open). h5py does not offer the setting, so it is made through the library that h5py
has loaded; where that cannot be found, HDF5's own number stays.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from pathlib import Path
from typing import Any

import h5py

WHILE_WRITTEN = 100
"""HDF5's own number for SWMR."""


def open_swmr(path: Path, locking: str, *, patient: bool) -> h5py.File:
    """Open a partial for reading in SWMR mode, ``patient`` while its writer may live; raises what h5py raises."""
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    if locking == "best-effort":
        access.set_file_locking(True, True)
    set_attempts = _setter()
    if set_attempts is not None:
        set_attempts(access.id, WHILE_WRITTEN if patient else 1)
    flags = h5py.h5f.ACC_RDONLY | h5py.h5f.ACC_SWMR_READ
    return h5py.File(h5py.h5f.open(str(path).encode(), flags, fapl=access))


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
