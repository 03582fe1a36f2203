"""Safe reading of an untrusted zip archive: in bounded memory, without extracting to the disk."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path

from ffprobe.data.archive import MAX_FILE_BYTES, TooLarge, safe_name
from ffprobe.errors import FileError

MAX_DIRECTORY_BYTES = 256 * 2**20
"""Maximum size of the central directory in bytes, which is read into memory; enough for three million pictures."""

_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_END = b"PK\x05\x06"
_END_64, _LOCATOR = b"PK\x06\x06", b"PK\x06\x07"
_END_BYTES = 22 + 2**16 + 128  # of the end records with the longest comment
_UTF8 = 0x800  # flag of an entry: the name is UTF-8
_ENCRYPTED = 0x1
_WINDOWS = 0
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)


def is_zip(path: Path) -> bool:
    """Whether a file starts like a zip archive.

    Raises:
        FileError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(4) in _MAGIC
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}.") from error


def zip_files(
    path: Path, wanted: Callable[[str], bool], max_bytes: int, setting: str = "max_gigabytes"
) -> Generator[tuple[str, bytes], None, None]:
    """The selected regular files of a zip archive, in the order of their content.

    Nothing is extracted to the disk. Entries that are not selected are skipped, whatever their type; an entry with an
    absolute name or a ``..`` is always refused. The checksum of every selected file is verified.

    Args:
        path: the archive.
        wanted: whether to read the entry of this name.
        max_bytes: maximum size of the selected files, decompressed.
        setting: name of the setting that increases this maximum, for the message.

    Yields:
        The entry's name without ``./``, and its bytes.

    Raises:
        FileError: the archive or an entry is damaged, encrypted, unsafe or too large; the message names it.
    """
    last, used = "", 0
    try:
        _check_directory(path)
        with zipfile.ZipFile(path) as archive:
            entries = [(safe_name(_decoded_name(entry), path), entry) for entry in archive.infolist()]
            for last, entry in sorted(entries, key=lambda pair: pair[1].header_offset):
                if entry.is_dir() or not wanted(last):
                    continue
                _check(entry, last, path)
                with archive.open(entry) as file:
                    content = file.read(MAX_FILE_BYTES + 1)
                used += len(content)
                if used > max_bytes:
                    raise TooLarge(f"{path} decompresses to more than {max_bytes} bytes.", hint=f"Increase {setting}.")
                yield last, content
    # NotImplementedError and RuntimeError: zipfile's, for features that it does not have; struct: for a short header
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, ValueError, RuntimeError, struct.error) as error:
        after = f" at {last!r}" if last else ""
        raise FileError(
            f"{path} is not a complete zip archive{after}: {error}.", hint="Download or create it again."
        ) from error


def _check_directory(path: Path) -> None:
    # zipfile reads the central directory into memory at once, and makes an object of about 500 bytes of each entry
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _END_BYTES))
        tail = file.read()
    start = tail.rfind(_END)
    if start < 0 or len(tail) - start < 22:
        raise zipfile.BadZipFile("it has no end record")
    declared = struct.unpack_from("<I", tail, start + 12)[0]
    if tail[max(0, start - 20) : start].startswith(_LOCATOR):  # of zip64: its record, just before, has the size
        record = tail.rfind(_END_64, 0, start)
        declared = struct.unpack_from("<Q", tail, record + 40)[0] if record >= 0 else size
    if declared > MAX_DIRECTORY_BYTES:
        raise FileError(f"{path} declares a directory of {declared} bytes; the maximum is {MAX_DIRECTORY_BYTES}.")


def _check(entry: zipfile.ZipInfo, name: str, path: Path) -> None:
    mode = entry.external_attr >> 16  # of Unix; 0 if the archive was created elsewhere
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise FileError(f"{path} contains {name!r}, which is a link or a special file, not a picture.")
    if entry.flag_bits & _ENCRYPTED:
        raise FileError(f"{path} contains {name!r}, which is encrypted.", hint="Create it without a password.")
    if entry.compress_type not in _METHODS:
        raise FileError(
            f"{path} contains {name!r}, compressed with the method {entry.compress_type}.",
            hint="Create it with deflate.",
        )
    if entry.file_size > MAX_FILE_BYTES:
        raise FileError(f"{path} contains {name!r} of {entry.file_size} bytes; the maximum is {MAX_FILE_BYTES}.")


def _decoded_name(entry: zipfile.ZipInfo) -> str:
    name = entry.orig_filename
    if not entry.flag_bits & _UTF8:
        with suppress(UnicodeError):  # macOS writes UTF-8 without the flag; zipfile then decodes the name as cp437
            name = name.encode("cp437").decode("utf-8")
    # some programs of Windows write its separator, against the specification
    return name.replace("\\", "/") if entry.create_system == _WINDOWS else name
