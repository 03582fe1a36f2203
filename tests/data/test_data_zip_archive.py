"""Reading untrusted zip archives."""

import stat
import struct
import zipfile

import pytest

from ffprobe.data.archive import MAX_FILE_BYTES
from ffprobe.data.zip_archive import is_zip, zip_files
from ffprobe.errors import FileError

FILES = {f"folder/{i}.jpg": bytes([i]) * (600 + i) for i in range(40)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pictures.zip"


def write(path, files, method=zipfile.ZIP_DEFLATED, **fields):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            for field, value in fields.items():
                setattr(info, field, value)
            archive.writestr(info, content)
    return path


def read(path, wanted=lambda name: name.endswith(".jpg"), limit=10**9):
    return dict(zip_files(path, wanted, limit))


def read_or_refuse(path):
    """The files of an archive; None if it is refused in a sentence that names it."""
    try:
        return read(path)
    except FileError as refusal:
        if str(path) not in str(refusal):
            raise AssertionError(f"the refusal does not name the archive: {refusal}") from refusal
        return None


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_reads_every_usual_compression(path, method):
    assert read(write(path, FILES, method)) == FILES
    assert is_zip(path)


def test_lzma_is_refused_since_its_header_names_the_memory_to_take(path):
    with pytest.raises(FileError, match=r"'folder/0\.jpg', compressed with the method 14.*deflate"):
        read(write(path, FILES, zipfile.ZIP_LZMA))


def test_folders_and_unwanted_entries_are_skipped(path):
    assert read(write(path, {"a.jpg/": b"", "README": b"text", "./a.jpg": b"picture"})) == {"a.jpg": b"picture"}


@pytest.mark.parametrize("name", ["../a.jpg", "folder/../../a.jpg", "/etc/a.jpg", "..\\a.jpg", "../README"])
@pytest.mark.parametrize("system", [0, 3])
def test_names_that_point_outside_are_refused(path, name, system):
    with pytest.raises(FileError, match="unsafe name"):
        read(write(path, {name: b"x"}, create_system=system))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_special_files_in_place_of_a_picture_are_refused(path, kind):
    with pytest.raises(FileError, match=r"'a\.jpg', which is a link or a special file"):
        read(write(path, {"a.jpg": b"/etc/passwd"}, create_system=3, external_attr=(kind | 0o777) << 16))


def test_names_of_other_systems(path):
    macos = "folder/ü.jpg".encode()  # without the flag for UTF-8
    ascii_name = "x" * len(macos)
    path.write_bytes(write(path, {ascii_name: b"2"}).read_bytes().replace(ascii_name.encode(), macos))
    assert list(read(path)) == ["folder/ü.jpg"]
    assert list(read(write(path, {"folder\\b.jpg": b"3"}, create_system=0))) == ["folder/b.jpg"]


def test_truncation_anywhere_is_detected(path):
    content = write(path, FILES).read_bytes()
    for keep in {0, 1, 3, 4, 100, len(content) // 3, len(content) // 2, len(content) - 23, len(content) - 1}:
        path.write_bytes(content[:keep])
        with pytest.raises(FileError, match="not a complete zip"):
            read(path)


def test_any_flipped_byte_is_detected_or_harmless(path):
    content = write(path, {name: FILES[name] for name in list(FILES)[:3]}).read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        files = read_or_refuse(path)
        assert files is None or set(files.values()) <= set(FILES.values())


def test_an_encrypted_entry_is_refused(path):
    content = bytearray(write(path, {"a.jpg": b"x"}).read_bytes())
    for start, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.find(start) + offset] |= 1
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"'a\.jpg', which is encrypted.*without a password"):
        read(path)


def test_large_files_are_refused_before_they_are_read(path):
    content = bytearray(write(path, {"a.jpg": b"x"}).read_bytes())
    struct.pack_into("<I", content, content.find(b"PK\x01\x02") + 24, MAX_FILE_BYTES + 1)
    path.write_bytes(content)
    with pytest.raises(FileError, match="the maximum is"):
        read(path)


def test_a_bomb_stops_at_the_limit(path):
    write(path, {f"{i}.jpg": bytes(10_000_000) for i in range(6)})
    assert path.stat().st_size < 100_000
    with pytest.raises(FileError, match=r"more than 25000000 bytes.*max_gigabytes"):
        read(path, limit=25_000_000)


def test_a_file_that_is_larger_than_declared_is_refused(path):
    content = bytearray(write(path, {"a.jpg": bytes(1_000_000)}).read_bytes())
    struct.pack_into("<I", content, content.find(b"PK\x01\x02") + 24, 100)
    path.write_bytes(content)
    with pytest.raises(FileError, match="CRC"):
        read(path)


def test_a_huge_directory_is_refused_before_it_is_read(path):
    content = bytearray(write(path, {"a.jpg": b"x"}).read_bytes())
    struct.pack_into("<I", content, content.rfind(b"PK\x05\x06") + 12, 2**30)
    path.write_bytes(content)
    with pytest.raises(FileError, match="declares a directory of 1073741824 bytes"):
        read(path)
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, 2**40, 0)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, 0, 1)
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, 0, 0, 0)
    path.write_bytes(record + locator + end)
    with pytest.raises(FileError, match="declares a directory of 1099511627776 bytes"):
        read(path)


def test_any_bytes_after_the_magic_are_an_archive_or_a_file_error(path):
    for content in (b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"PK\x05\x06" + b"\xff" * 18, b"PK\x03\x04" + bytes(99)):
        path.write_bytes(content)
        assert not read_or_refuse(path)
