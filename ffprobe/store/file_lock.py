"""A lock that allows one writer per file and lasts exactly as long as the process that holds it.

HDF5's own lock does not do this. It is released when SWMR begins, so that readers can open the file, and then
``h5py.File(path, "w")`` truncates the file of a running writer without an error (measured with HDF5 2.0.0).
"""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

from ffprobe.errors import FileError
from ffprobe.store.hdf5_errors import file_error

try:
    import fcntl
except ImportError:  # Windows: no lock
    fcntl = None  # type: ignore[assignment]


class FileLock:
    """An exclusive lock for writing one file, released by ``close`` or by the end of the process.

    It is an "open file description" lock: unlike a POSIX lock it is not lost when another part of this process opens
    and closes the same file, and unlike ``flock`` it does not interfere with HDF5's own locks.

    Args:
        path: the file.
        create: create the file, which must not exist; otherwise it must exist.

    Raises:
        FileExistsError: the file exists and ``create`` is True.
        FileError: another process holds the lock, or the operating system refuses.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        flags = os.O_RDWR | (os.O_CREAT | os.O_EXCL if create else 0)
        try:
            self._descriptor: int | None = os.open(path, flags, 0o666)
        except FileExistsError:
            raise
        except OSError as error:
            raise file_error(error, path, "The run file could not be opened for writing") from error
        try:
            _lock(self._descriptor)
        except BlockingIOError as error:
            self.close()
            raise another_writes(path) from error
        except OSError:
            pass  # a file system without locks: continue, as HDF5 does

    def reserve(self, size: int) -> None:
        """Check that the disk has room for ``size`` bytes, and leave the file empty; raises OSError.

        The check precedes HDF5's first access to the file, since HDF5 does not fail cleanly on a full disk.
        """
        if self._descriptor is None or not hasattr(os, "posix_fallocate"):
            return
        try:
            os.posix_fallocate(self._descriptor, 0, max(1, size))
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.ENODEV):
                raise  # those four only mean that this file system does not support the check
        finally:
            os.ftruncate(self._descriptor, 0)

    def is_at(self, path: Path) -> bool:
        """Whether the path still names the locked file, and not another one that replaced it."""
        try:
            return self._descriptor is not None and os.path.samestat(os.fstat(self._descriptor), os.stat(path))
        except FileNotFoundError:
            return False

    def sync(self) -> None:
        """Wait until the disk has the file's bytes (``fsync``); raises OSError."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Release the lock; does nothing the second time."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)


def another_writes(path: Path) -> FileError:
    """The error for a file that another process is writing."""
    hint = "Wait until that run ends, or choose another name with --out."
    return FileError("Another process is writing this run file.", where=str(path), hint=hint)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock, or may hold it if this process cannot tell; does not take the lock."""
    if fcntl is None or not hasattr(fcntl, "F_OFD_GETLK"):
        return True
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return True
    try:
        lock = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK))
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return bool(struct.unpack_from("h", lock)[0] != fcntl.F_UNLCK)


def _flock(kind: int) -> bytes:
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, 0, 0, 0)  # the whole file; struct flock on 64-bit Linux


def _lock(descriptor: int) -> None:
    if fcntl is None:
        return
    if not hasattr(fcntl, "F_OFD_SETLK"):
        return  # this system has no such locks, and other kinds of locks would keep readers out
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _flock(fcntl.F_WRLCK))


def sync_directory(directory: Path) -> None:
    """Wait until the directory is on the disk (``fsync``); otherwise a power failure may undo a rename."""
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
