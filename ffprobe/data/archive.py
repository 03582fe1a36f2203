"""Reading a tar that may be damaged or hostile: in one pass, in bounded memory, never onto the disk."""

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
"""The largest member that is read."""


class TooLarge(FileError):
    """What is read takes more than it may."""


# headers with a body (long names, PAX), which tarfile reads into memory before we see the member
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
    """The wanted regular files of a tar, in its order; the tar is plain or packed with xz, gzip or bzip2.

    Nothing is extracted to the disk. A member that is not wanted is skipped, whatever it is; one with an absolute name
    or a ``..`` is refused, wanted or not. The archive must be whole: its end mark and its checksums are verified.

    Args:
        path: the archive.
        wanted: says by name which members to read.
        max_bytes: the most that the archive may unpack to.
        setting: what to raise for more, for the message.

    Yields:
        The member's name without ``./``, and its bytes.

    Raises:
        FileError: the archive or a member is damaged, unsafe or too large; the message names it.
    """
    last = ""
    try:
        with _unpacked(path) as file:
            stream = _Bounded(file, path, max_bytes, setting)
            source = cast(IO[bytes], stream)
            with tarfile.open(fileobj=source, mode="r|", tarinfo=_checked_header(path)) as tar:
                for member in tar:
                    tar.members = []  # type: ignore[attr-defined]  # tarfile would keep every header
                    last = _safe_name(member, path)
                    if not wanted(last) or member.isdir():
                        continue
                    yield last, _read(tar, member, path)
                stream.check_end(tar.offset)
    except (tarfile.TarError, OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        after = f" after {last!r}" if last else ""
        raise FileError(
            f"{path} is not a whole tar archive{after}: {error}.", hint="Fetch or pack it again."
        ) from error


def _unpacked(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        start = file.read(6)
    opener = next((opener for magic, opener in _OPENERS if start.startswith(magic)), None)
    return cast(IO[bytes], opener(path, "rb") if opener else path.open("rb"))


def _safe_name(member: tarfile.TarInfo, path: Path) -> str:
    name = member.name
    if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/"):
        raise FileError(f"{path} holds the unsafe name {name!r}: it leads out of the archive.")
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> bytes:
    if not member.isreg() or member.issparse():
        raise FileError(f"{path} holds {member.name!r}, which is a link or a special file, not a picture.")
    if member.size > MAX_FILE_BYTES:
        raise FileError(f"{path} holds {member.name!r} of {member.size} bytes; the most is {MAX_FILE_BYTES}.")
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
    """A stream that counts, and remembers its last piece: tarfile takes any damage between members for the end."""

    def __init__(self, file: IO[bytes], path: Path, limit: int, setting: str) -> None:
        self._file, self._path, self._limit, self._setting = file, path, limit, setting
        self._position, self._piece = 0, b""

    def read(self, size: int) -> bytes:
        piece = self._file.read(size)
        while piece and len(piece) < size and (more := self._file.read(size - len(piece))):
            piece += more
        if piece:
            self._position += len(piece)
            self._piece = piece
        if self._position > self._limit:
            told = f"{self._path} unpacks to more than {self._limit} bytes."
            raise TooLarge(told, hint=f"Raise {self._setting}.")
        return piece

    def check_end(self, offset: int) -> None:
        """Demands the end mark at ``offset``, and reads on to the end so that the packer's checksum is compared."""
        start = offset - (self._position - len(self._piece))
        if start < 0 or self._piece[start : start + tarfile.BLOCKSIZE] != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"no header and no end mark at byte {offset}")
        while self.read(tarfile.RECORDSIZE):
            pass
