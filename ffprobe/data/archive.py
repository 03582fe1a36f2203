"""Safe reading of an untrusted tar archive: in one pass, in bounded memory, without extracting to the disk."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Generator
from pathlib import Path
from typing import IO, Any, cast

from ffprobe.errors import FileError

MAX_FILE_BYTES = 64 * 2**20
"""Maximum size of a member in bytes."""


class TooLarge(FileError):
    """The data is larger than the limit."""


# headers with a body (long names, PAX), which tarfile reads into memory before it returns the member
_LONG_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_MAX_HEADER_BYTES = 2**20
_OPENERS: tuple[tuple[bytes, Callable[..., Any]], ...] = (
    (b"\xfd7zXZ\0", lzma.open),
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
)


def tar_files(
    path: Path, wanted: Callable[[str], bool], max_bytes: int, setting: str = "max_gigabytes"
) -> Generator[tuple[str, bytes], None, None]:
    """The selected regular files of a tar archive, in its order; plain or compressed with xz, gzip or bzip2.

    Nothing is extracted to the disk. Members that are not selected are skipped, whatever their type; a member with an
    absolute name or a ``..`` is always refused. The archive must be complete: its end mark and its checksums are
    verified. Hard links, which tar writes for a file with several names, are read in a second pass, after all others.

    Args:
        path: the archive.
        wanted: whether to read the member of this name.
        max_bytes: maximum size of the decompressed archive, and of the files that hard links name.
        setting: name of the setting that increases this maximum, for the message.

    Yields:
        The member's name without ``./``, and its bytes.

    Raises:
        FileError: the archive or a member is damaged, unsafe or too large; the message names it.
    """
    targets: dict[str, str] = {}  # of the hard links

    def selected(name: str, member: tarfile.TarInfo) -> bool:
        if member.isdir() or not wanted(name):
            return False
        if member.islnk():
            targets[name] = _target(member, path)
            return False
        targets.pop(name, None)  # a later member replaces an earlier one
        return True

    yield from _members(path, selected, max_bytes, setting)
    if targets:
        yield from _linked_files(path, targets, max_bytes, setting)


def _linked_files(
    path: Path, targets: dict[str, str], max_bytes: int, setting: str
) -> Generator[tuple[str, bytes], None, None]:
    names: dict[str, list[str]] = {}  # by target
    for link, target in targets.items():
        followed = {link}
        while target in targets and target not in followed:
            followed.add(target)
            target = targets[target]
        names.setdefault(target, []).append(link)
    used = 0
    for name, content in _members(path, lambda name, member: member.isreg() and name in names, max_bytes, setting):
        for link in names.pop(name):
            used += len(content)
            if used > max_bytes:
                message = f"The hard links in {path} name more than {max_bytes} bytes."
                raise TooLarge(message, hint=f"Increase {setting}.")
            yield link, content
    for target, (link, *_) in names.items():
        raise FileError(
            f"{path} contains {link!r}, which is a link to {target!r}, but that is not a file in the archive.",
            hint="Create the archive again, from a folder that contains both.",
        )


def _members(
    path: Path, selected: Callable[[str, tarfile.TarInfo], bool], max_bytes: int, setting: str
) -> Generator[tuple[str, bytes], None, None]:
    # name and bytes of the selected members; the names of all are checked
    last = ""
    try:
        with _unpacked(path) as file:
            stream = _Bounded(file, path, max_bytes, setting)
            source = cast(IO[bytes], stream)
            with tarfile.open(fileobj=source, mode="r|", tarinfo=_checked_header(path)) as tar:
                for member in tar:
                    tar.members = []  # type: ignore[attr-defined]  # otherwise tarfile keeps every header
                    last = safe_name(member.name, path)
                    if selected(last, member):
                        yield last, _read(tar, member, path)
                stream.check_end(tar.offset)
    # ValueError: tarfile reads the numbers of a sparse file's PAX header without a check of its own
    except (tarfile.TarError, OSError, EOFError, lzma.LZMAError, zlib.error, ValueError) as error:
        after = f" after {last!r}" if last else ""
        raise FileError(
            f"{path} is not a complete tar archive{after}: {error}.", hint="Download or create it again."
        ) from error


def _unpacked(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        start = file.read(6)
    opener = next((opener for magic, opener in _OPENERS if start.startswith(magic)), None)
    return cast(IO[bytes], opener(path, "rb") if opener else path.open("rb"))


def safe_name(name: str, path: Path) -> str:
    """The name of a member of an archive without ``.`` and empty parts.

    Raises:
        FileError: the name points outside the archive.
    """
    if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/"):
        raise FileError(f"{path} contains the unsafe name {name!r}: it points outside the archive.")
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _target(member: tarfile.TarInfo, path: Path) -> str:
    try:
        return safe_name(member.linkname, path)
    except FileError as error:
        raise _not_a_picture(member, path) from error


def _not_a_picture(member: tarfile.TarInfo, path: Path) -> FileError:
    return FileError(f"{path} contains {member.name!r}, which is a link or a special file, not a picture.")


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> bytes:
    if not member.isreg() or member.issparse():
        raise _not_a_picture(member, path)
    if member.size > MAX_FILE_BYTES:
        raise FileError(f"{path} contains {member.name!r} of {member.size} bytes; the maximum is {MAX_FILE_BYTES}.")
    content = tar.extractfile(member)
    return content.read() if content else b""


def _checked_header(path: Path) -> type[tarfile.TarInfo]:
    class Header(tarfile.TarInfo):
        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Any:
            header = super().frombuf(buf, encoding, errors)
            if header.size < 0 or (header.type in _LONG_HEADERS and header.size > _MAX_HEADER_BYTES):
                raise FileError(f"{path} is damaged: it declares a header or member of {header.size} bytes.")
            return header

    return Header


class _Bounded:
    """A stream that counts bytes and keeps its last chunk: tarfile treats any damage between members as the end."""

    def __init__(self, file: IO[bytes], path: Path, limit: int, setting: str) -> None:
        self._file, self._path, self._limit, self._setting = file, path, limit, setting
        self._position, self._chunk = 0, b""

    def read(self, size: int) -> bytes:
        chunk = self._file.read(size)
        while chunk and len(chunk) < size and (more := self._file.read(size - len(chunk))):
            chunk += more
        if chunk:
            self._position += len(chunk)
            self._chunk = chunk
        if self._position > self._limit:
            message = f"{self._path} decompresses to more than {self._limit} bytes."
            raise TooLarge(message, hint=f"Increase {self._setting}.")
        return chunk

    def check_end(self, offset: int) -> None:
        """Check the end mark at ``offset``, and read to the end so that the compressor's checksum is verified."""
        start = offset - (self._position - len(self._chunk))
        if start < 0 or self._chunk[start : start + tarfile.BLOCKSIZE] != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"no header and no end mark at byte {offset}")
        while self.read(tarfile.RECORDSIZE):
            pass
