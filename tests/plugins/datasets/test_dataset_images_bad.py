"""A user's own pictures, damaged, unfit or hostile."""

import lzma
import os

import pytest
from ffprobe_plugins.datasets.images import OwnImages
from picture_files import load, packed, shade, tree, write_tar
from PIL import Image

from ffprobe.data import picture
from ffprobe.errors import FileError, UsageError


def without(files, start):
    return {name: content for name, content in files.items() if not name.startswith(start)}


BAD = {
    "nothing": ({"README": b"x"}, "contains no pictures.*The layout must be train/CLASS"),
    "no test": (without(tree(), "test"), "has no pictures in test.*The layout must be train/CLASS"),
    "no train": (without(tree(), "train"), "has no pictures in train"),
    "one class": (tree(classes=["cat"]), "contains only the class 'cat'"),
    "class only in train": (without(tree(), "test/dog"), "'dog' in train, but none in test"),
    "class only in test": (without(tree(), "train/cat"), "'cat' in test, but none in train"),
    "unreadable": (tree() | {"train/dog/1.png": b"no picture"}, r"'train/dog/1\.png' .* cannot be read"),
    "truncated picture": (
        tree() | {"test/cat/0.png": tree()["test/cat/0.png"][:-30]},
        r"'test/cat/0\.png' .* cannot be read",
    ),
    "empty picture": (tree() | {"train/cat/0.png": b""}, r"'train/cat/0\.png' .* cannot be read"),
    "sizes": (
        tree() | {"train/dog/1.png": packed(shade(0, size=(7, 5)))},
        r"differ in size: '.*png' has \dx5 pixels, '.*png' has \dx5",
    ),
    "too deep": (tree() | {"train/cat/sub/0.png": packed(shade(0))}, "nested too deeply"),
    "two trees": (
        {f"{above}/{name}": content for above in "ab" for name, content in tree().items()},
        "two trees of pictures: 'a/.*' and 'b/",
    ),
    "unprintable class": (tree(classes=("cat", "d\x1bog")), "characters that cannot be printed"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_sets(write, case):
    files, reason = BAD[case]
    path = write(files)
    with pytest.raises(FileError, match=reason) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_both_sizes_are_named_in_full(tmp_path):
    files = tree() | {"train/dog/1.png": packed(shade(0, size=(7, 9)))}
    reason = r"'train/cat/0\.png' has 6x5 pixels, 'train/dog/1\.png' has 7x9"
    with pytest.raises(FileError, match=reason):
        load(write_tar(tmp_path / "x.tar", files))


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.99])
@pytest.mark.parametrize("pack", [bytes, lzma.compress])
def test_truncated_tar(tmp_path, cut, pack):
    path = write_tar(tmp_path / "x.tar", tree(), pack)
    size = int(path.stat().st_size * cut) if pack is not bytes else int(len(tree()) * 1024 * cut)
    os.truncate(path, size)
    with pytest.raises(FileError, match=r"x\.tar is not a complete tar"):
        load(path)


def test_link_in_a_tar_is_refused(tmp_path):
    path = write_tar(tmp_path / "x.tar", tree(), links=[("train/cat/9.png", "/etc/passwd")])
    with pytest.raises(FileError, match=r"'train/cat/9\.png', which is a link"):
        load(path)


def test_path_outside_the_archive_is_refused(tmp_path):
    path = write_tar(tmp_path / "x.tar", tree() | {"train/../../cat/0.png": b"x"})
    with pytest.raises(FileError, match="unsafe name"):
        load(path)


def test_undecodable_class_name_is_refused(tmp_path):
    path = write_tar(tmp_path / "x.tar", tree(classes=("cat", os.fsdecode(b"d\xffg"))))
    with pytest.raises(FileError, match="characters that cannot be printed"):
        load(path)


def test_bomb_is_refused_before_it_is_decoded(write, monkeypatch):
    decoded = []
    pixels = picture._pixels
    monkeypatch.setattr(picture, "_pixels", lambda name, image: (decoded.append(image.size), pixels(name, image))[1])
    files = {"test/cat/0.png": packed(Image.new("1", (12000, 12000)))}
    with pytest.raises(FileError, match="too large"):
        load(write(files | tree() | files))
    assert all(size == (6, 5) for size in decoded)


def test_memory_limit(write):
    path = write(tree())
    with pytest.raises(FileError, match="Increase max_gigabytes"):
        load(path, max_gigabytes=5e-6, max_disk_gigabytes=0)
    with pytest.raises(FileError, match="Increase max_disk_gigabytes"):
        load(path, max_gigabytes=5e-6, max_disk_gigabytes=6e-6)
    assert len(load(path, max_gigabytes=1e-3)) == 6


def test_no_folder_named():
    with pytest.raises(UsageError, match="--data-dir"):
        OwnImages().load("train")


def test_missing_path(tmp_path):
    with pytest.raises(FileError, match="nowhere cannot be read: No such file"):
        load(tmp_path / "nowhere")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_by_permission(tmp_path):
    path = write_tar(tmp_path / "x.tar", tree())
    path.chmod(0)
    with pytest.raises(FileError, match="Permission denied"):
        load(path)
