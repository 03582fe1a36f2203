"""Whatever a tar holds, its pictures come out whole under names that stay inside, or a FileError comes."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path, PurePosixPath

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ffprobe.data.archive import tar_files
from ffprobe.errors import FileError

FORMS = (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT)
PARTS = st.one_of(
    st.sampled_from(
        ["..", ".", "", "/", "\\", "a", "C:", "...", "..a", " ..", "~", "%2e%2e", "‥", "a" * 120, "ü" * 60]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
)
NAMES = st.builds(lambda parts, separator: separator.join(parts), st.lists(PARTS, max_size=5), st.sampled_from("/\\"))
REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
LINKS = (tarfile.SYMTYPE, tarfile.LNKTYPE)
TYPES = st.sampled_from([*REGULAR, *LINKS, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
quick = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def pack(names: list[str], form: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A tar of one member for each name, whose content is its position."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for index, name in enumerate(names):
            info, content = tarfile.TarInfo(name), f"content {index}".encode()
            info.type, info.linkname = kind, "/etc/passwd" if kind in LINKS else ""
            info.size = len(content) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def read(path: Path, content: bytes) -> list[tuple[str, bytes]] | None:
    """What comes out of an archive; None if it is refused in a sentence that names it."""
    path.write_bytes(content)
    try:
        return list(tar_files(path, lambda name: True, 10**7))
    except FileError as refusal:
        if str(path) not in str(refusal):
            raise AssertionError(f"the refusal does not name the archive: {refusal}") from refusal
        return None


def stays_inside(name: str) -> bool:
    """Whether a name, joined to a folder by any system's rules, is a file below that folder."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return not name.startswith(("/", "\\")) and ".." not in parts


@quick
@given(names=st.lists(NAMES, max_size=4), form=st.sampled_from(FORMS), kind=TYPES)
@example(names=["a/../../b.jpg"], form=tarfile.PAX_FORMAT, kind=tarfile.REGTYPE)
@example(names=["a/..\\..\\b.jpg"], form=tarfile.GNU_FORMAT, kind=tarfile.REGTYPE)
@example(names=[""], form=tarfile.GNU_FORMAT, kind=tarfile.REGTYPE)
def test_no_name_leads_out(names: list[str], form: int, kind: bytes, tmp_path: Path) -> None:
    try:
        content = pack(names, form, kind)
    except ValueError:  # a name that this form cannot hold
        return
    files = read(tmp_path / "x.tar", content)
    if files is None:
        return
    assert all(stays_inside(name) for name, _ in files)
    assert all(stays_inside(name.rstrip("/")) for name in names)  # others are refused, wanted or not
    regular = kind in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
    assert [content for _, content in files] == (
        [f"content {i}".encode() for i in range(len(names))] if regular else []
    )


@quick
@given(data=st.data(), form=st.sampled_from(FORMS))
def test_damage_of_any_header_is_a_file_error_or_harmless(data: st.DataObject, form: int, tmp_path: Path) -> None:
    """Bytes of a header are replaced, and its checksum is made to fit again, as an attacker would."""
    content = bytearray(pack(["a.jpg", "ü" * 40 + "/" + "x" * 90 + ".jpg", "b/" * 60 + "c.jpg"], form))
    block = data.draw(st.integers(0, len(content) // tarfile.BLOCKSIZE - 1)) * tarfile.BLOCKSIZE
    field, size = data.draw(
        st.sampled_from([(0, 100), (100, 8), (124, 12), (156, 1), (157, 100), (257, 8), (345, 155)])
    )
    start = block + field + data.draw(st.integers(0, size - 1))
    written = data.draw(st.binary(min_size=1, max_size=20))[: block + field + size - start]
    content[start : start + len(written)] = written
    header = content[block : block + tarfile.BLOCKSIZE]
    content[block + 148 : block + 156] = b"%06o\0 " % (sum(header[:148]) + 8 * ord(" ") + sum(header[156:]))
    files = read(tmp_path / "x.tar", bytes(content))
    assert files is None or all(stays_inside(name) for name, _ in files)


@quick
@given(st.binary(max_size=3000))
@example(b"")
@example(bytes(1024))
def test_any_bytes_are_an_archive_or_a_file_error(tmp_path: Path, content: bytes) -> None:
    for magic in (b"", b"\xfd7zXZ\0", b"\x1f\x8b", b"BZh"):
        files = read(tmp_path / "x.tar", magic + content)
        assert files is None or all(stays_inside(name) for name, _ in files)


RECORDS = st.dictionaries(
    st.sampled_from(["path", "size", "mtime", "linkpath", "uid", "hdrcharset", "GNU.sparse.map", "GNU.sparse.major"]),
    st.one_of(st.text(max_size=12), st.integers().map(str), NAMES),
    min_size=1,
)


@quick
@given(RECORDS)
@example({"path": "../a.jpg"})
@example({"size": "-1"})
@example({"GNU.sparse.map": ""})  # a ValueError of tarfile's own
def test_a_pax_header_may_say_anything(tmp_path: Path, records: dict[str, str]) -> None:
    body = b""
    for key, value in records.items():
        line = f" {key}={value}\n".encode("utf-8", "surrogateescape" if value.isascii() else "replace")
        length = len(line) + len(str(len(line) + len(str(len(line)))))
        body += str(length).encode() + line
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, len(body)
    padded = body + bytes(-len(body) % tarfile.BLOCKSIZE)
    content = header.tobuf(tarfile.USTAR_FORMAT) + padded + pack(["a.jpg"], tarfile.USTAR_FORMAT)
    files = read(tmp_path / "x.tar", content)
    assert files is None or all(stays_inside(name) for name, _ in files)
