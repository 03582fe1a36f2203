"""Reading untrusted tar archives."""

import bz2
import gzip
import io
import lzma
import tarfile

import pytest

from ffprobe.data.archive import MAX_FILE_BYTES, tar_files
from ffprobe.errors import FileError

FILES = {f"folder/{i}.jpg": bytes([i]) * (600 + i) for i in range(40)}
PACKERS = {"plain": bytes, "xz": lzma.compress, "gz": gzip.compress, "bz2": bz2.compress}


def member(name, content=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def tar(*members, form=tarfile.GNU_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def whole():
    return tar(*(member(name, content) for name, content in FILES.items()))


def read(path, wanted=lambda name: name.endswith(".jpg"), limit=10**9):
    return dict(tar_files(path, wanted, limit))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pictures.tar"


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_reads_every_packing(path, pack, form):
    path.write_bytes(pack(tar(*(member(f"./{name}", content) for name, content in FILES.items()), form=form)))
    assert read(path) == FILES


def test_long_names(path):
    name = "folder/" + "ü" * 100 + "/" + "y" * 150 + ".jpg"
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        path.write_bytes(tar(member(name, b"content"), form=form))
        assert read(path) == {name: b"content"}


def test_folders_and_unwanted_members_are_skipped(path):
    unwanted = [
        member("folder.jpg", type=tarfile.DIRTYPE),
        member("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("README", b"text"),
        member("device", type=tarfile.CHRTYPE),
        member("a.jpg", b"picture"),
    ]
    path.write_bytes(tar(*unwanted))
    assert read(path) == {"a.jpg": b"picture"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_special_files_in_place_of_a_picture_are_refused(path, kind):
    path.write_bytes(tar(member("a.jpg", type=kind, linkname="/etc/passwd")))
    with pytest.raises(FileError, match=r"'a\.jpg', which is a link or a special file"):
        read(path)


def linked(name, target):
    return member(name, type=tarfile.LNKTYPE, linkname=target)


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_hard_links_have_the_content_of_their_target(path, pack):
    members = [member("store/a", b"first"), linked("one.jpg", "./store/a"), member("b.jpg", b"second")]
    members += [linked("two.jpg", "b.jpg"), linked("three.jpg", "two.jpg"), linked("unwanted", "b.jpg")]
    path.write_bytes(pack(tar(*members)))
    first, second = b"first", b"second"
    assert read(path) == {"b.jpg": second, "one.jpg": first, "two.jpg": second, "three.jpg": second}


def test_a_hard_link_that_gnu_tar_writes(tmp_path, path):
    (tmp_path / "a.jpg").write_bytes(b"picture")
    (tmp_path / "b.jpg").hardlink_to(tmp_path / "a.jpg")
    with tarfile.open(path, "w") as archive:
        for name in ("a.jpg", "b.jpg"):
            archive.add(tmp_path / name, name)
    assert read(path) == {"a.jpg": b"picture", "b.jpg": b"picture"}


def test_a_file_after_a_hard_link_of_the_same_name_replaces_it(path):
    path.write_bytes(tar(member("a.jpg", b"old"), linked("b.jpg", "a.jpg"), member("b.jpg", b"new")))
    assert read(path) == {"a.jpg": b"old", "b.jpg": b"new"}


@pytest.mark.parametrize("target", ["nowhere.jpg", "b.jpg", "device", "loop.jpg"])
def test_hard_links_to_no_file_of_the_archive_are_refused(path, target):
    loop = linked("loop.jpg", "b.jpg")
    path.write_bytes(tar(member("device", type=tarfile.CHRTYPE), linked("b.jpg", target), loop))
    with pytest.raises(FileError, match=r"'b\.jpg', which is a link to '.*', but that is not a file in the archive"):
        read(path)


def test_many_hard_links_to_one_file_stop_at_the_limit(path):
    path.write_bytes(tar(member("a.jpg", bytes(100_000)), *(linked(f"{i}.jpg", "a.jpg") for i in range(100))))
    with pytest.raises(FileError, match=r"hard links .* more than 1000000 bytes.*max_gigabytes"):
        read(path, limit=1_000_000)


@pytest.mark.parametrize("name", ["../a.jpg", "folder/../../a.jpg", "/etc/a.jpg", "..\\a.jpg", "../README"])
def test_names_that_point_outside_are_refused(path, name):
    path.write_bytes(tar(member(name, b"x")))
    with pytest.raises(FileError, match="unsafe name"):
        read(path)


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_truncation_anywhere_is_detected(path, pack):
    content = pack(whole())
    # of the plain tar, what follows the first block of its end mark may be missing
    needed = len(content) if pack is not bytes else sum(512 + 1024 for _ in FILES) + 512
    assert pack is not bytes or set(content[needed - 512 :]) == {0}
    for keep in {0, 1, 5, 6, 100, 511, 512, 513, 1024, 1536, 3072, needed // 3, needed // 2, needed - 513, needed - 1}:
        if 0 <= keep < needed:
            path.write_bytes(content[:keep])
            with pytest.raises(FileError, match="not a complete tar"):
                read(path)
    path.write_bytes(content[:needed])
    assert read(path) == FILES


def test_a_damaged_header_is_not_taken_for_the_end(path):
    content = bytearray(whole())
    content[10 * 1536 + 3] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"after 'folder/9\.jpg'"):
        read(path)


@pytest.mark.parametrize("name", ["xz", "gz", "bz2"])
def test_flipped_bytes_of_a_compressed_tar_are_detected(path, name):
    content = PACKERS[name](whole())
    for place in range(20, len(content), max(1, len(content) // 25)):
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        with pytest.raises(FileError):
            read(path)


def test_a_file_that_is_not_a_tar_is_refused(path):
    for content in (b"", b"text" * 1000, gzip.compress(b"text" * 1000), b"\xfd7zXZ\0 and more"):
        path.write_bytes(content)
        with pytest.raises(FileError, match="not a complete tar"):
            read(path)


def test_large_members_are_refused_before_they_are_read(path):
    # declared but missing: reading it would fail differently
    header = member("a.jpg", size=MAX_FILE_BYTES + 1)[0].tobuf(tarfile.GNU_FORMAT)
    path.write_bytes(header + bytes(1024))
    with pytest.raises(FileError, match="the maximum is"):
        read(path)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_large_headers_are_refused(path, kind):
    path.write_bytes(member("x", size=2**30, type=kind)[0].tobuf(tarfile.GNU_FORMAT) + bytes(2**20))
    with pytest.raises(FileError, match=r"declares a header .* of 1073741824 bytes"):
        read(path)


def test_negative_sizes_are_refused(path):
    path.write_bytes(tar(member("a.jpg", b"x")) + bytes(512))
    header = bytearray(member("b.jpg")[0].tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 12
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path.write_bytes(bytes(header) + bytes(1024))
    with pytest.raises(FileError):
        read(path)


def test_a_bomb_of_zeros_stops_at_the_limit(path):
    path.write_bytes(gzip.compress(tar(member("README", bytes(60_000_000)), member("a.jpg", b"x"))))
    assert read(path) == {"a.jpg": b"x"}
    with pytest.raises(FileError, match=r"more than 1000000 bytes.*max_gigabytes"):
        read(path, limit=1_000_000)


def test_a_bomb_after_the_end_mark_stops_at_the_limit(path):
    path.write_bytes(gzip.compress(whole() + bytes(60_000_000)))
    with pytest.raises(FileError, match="more than 1000000 bytes"):
        read(path, limit=1_000_000)


def test_a_reader_that_stops_early_closes_the_file(path):
    path.write_bytes(lzma.compress(whole()))
    files = tar_files(path, lambda name: True, 10**9)
    next(files)
    files.close()
