"""A user's own pictures, from folders and tars, good and bad."""

import io
import lzma
import os
import tarfile

import numpy as np
import pytest
import torch
from ffprobe_plugins.datasets.images import OwnImages
from PIL import Image

from ffprobe.data import cached_images, picture
from ffprobe.data.images import channel_statistics
from ffprobe.errors import FileError, UsageError


def shade(value, mode="L", size=(6, 5)):
    """A picture whose pixels count up from ``value``."""
    array = (np.arange(size[0] * size[1]).reshape(size[1], size[0]) + value).astype(np.uint8)
    return Image.fromarray(array).convert(mode)


def packed(image, form="PNG"):
    out = io.BytesIO()
    image.save(out, form)
    return out.getvalue()


def tree(mode="L", classes=("cat", "dog")):
    """Names and contents of a small whole data set: three pictures per class to train, two to test."""
    return {
        f"{split}/{label}/{i}.png": packed(shade(40 * place + 10 * i + (split == "test"), mode))
        for split, count in (("train", 3), ("test", 2))
        for place, label in enumerate(classes)
        for i in range(count)
    }


def write_folder(path, files):
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def write_tar(path, files, pack=bytes, links=()):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    path.write_bytes(pack(out.getvalue()))
    return path


def load(path, split="train", **params):
    return OwnImages(OwnImages.Params(**params), data_dir=path).load(split)


@pytest.fixture(params=["folder", "tar", "tar.xz"])
def write(request, tmp_path):
    def make(files):
        if request.param == "folder":
            return write_folder(tmp_path / "pictures", files)
        return write_tar(tmp_path / request.param, files, lzma.compress if "xz" in request.param else bytes)

    return make


def test_grey_pictures(write):
    path = write(tree())
    train, test = load(path), load(path, "test")
    assert train.classes == test.classes == ("cat", "dog")
    assert (train.pixels.shape, test.pixels.shape) == ((6, 1, 5, 6), (4, 1, 5, 6))
    assert train.pixels[:, 0, 0, 0].tolist() == [0, 10, 20, 40, 50, 60]
    assert test.pixels[:, 0, 0, 0].tolist() == [1, 11, 41, 51]
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert (train.mean, train.std) == (test.mean, test.std) == channel_statistics(train.pixels)


def test_one_colour_picture_makes_all_rgb(write):
    files = tree()
    files["test/dog/1.png"] = packed(Image.new("RGB", (6, 5), (1, 2, 3)))
    path = write(files)
    train, test = load(path), load(path, "test")
    assert train.shape == test.shape == (3, 5, 6)
    assert train.pixels[:, 0].equal(train.pixels[:, 2])
    assert test.pixels[3, :, 0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("P", 1), ("LA", 1), ("RGBA", 3), ("1", 1)])
def test_modes(tmp_path, mode, channels):
    assert load(write_tar(tmp_path / "x.tar", tree(mode))).shape == (channels, 5, 6)


def test_order_on_disk_does_not_matter(tmp_path):
    files = tree()
    one = load(write_tar(tmp_path / "one.tar", files))
    other = load(write_tar(tmp_path / "other.tar", dict(reversed(files.items()))))
    folder = load(write_folder(tmp_path / "folder", files))
    assert one.sha256() == other.sha256() == folder.sha256()


@pytest.mark.parametrize("above", ["cifar10/", "./", "./cifar10/"])
def test_a_folder_above_is_tolerated(write, above):
    assert len(load(write({above + name: content for name, content in tree().items()}))) == 6


def test_what_is_no_picture_is_ignored(write):
    extra = {"README.txt": b"x", "train/cat/Thumbs.db": b"x", "train/cat/._0.png": b"x", "train/.hidden/0.png": b"x"}
    assert len(load(write(tree() | extra | {"preview.png": b"x"}))) == 6


def test_links_in_the_users_own_folder_are_followed(tmp_path):
    write_folder(tmp_path / "pictures", tree())
    store = (tmp_path / "pictures" / "train").rename(tmp_path / "store")
    (tmp_path / "pictures" / "train").mkdir()
    for label in ("cat", "dog"):
        (tmp_path / "pictures" / "train" / label).symlink_to(store / label)
    assert len(load(tmp_path / "pictures")) == 6


def without(files, start):
    return {name: content for name, content in files.items() if not name.startswith(start)}


BAD = {
    "nothing": ({"README": b"x"}, "holds no pictures.*Expected are train/CLASS"),
    "no test": (without(tree(), "test"), "has no pictures in test.*Expected are train/CLASS"),
    "no train": (without(tree(), "train"), "has no pictures in train"),
    "one class": (tree(classes=["cat"]), "holds the one class 'cat'"),
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
    "too deep": (tree() | {"train/cat/sub/0.png": packed(shade(0))}, "too deep"),
    "two trees": (
        {f"{above}/{name}": content for above in "ab" for name, content in tree().items()},
        "two trees of pictures: 'a/.*' and 'b/",
    ),
    "unprintable class": (tree(classes=("cat", "d\x1bog")), "not a name that can be printed"),
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
    with pytest.raises(FileError, match=r"x\.tar is not a whole tar"):
        load(path)


def test_link_in_a_tar_is_refused(tmp_path):
    path = write_tar(tmp_path / "x.tar", tree(), links=[("train/cat/9.png", "/etc/passwd")])
    with pytest.raises(FileError, match=r"'train/cat/9\.png', which is a link"):
        load(path)


def test_name_that_leads_out_is_refused(tmp_path):
    path = write_tar(tmp_path / "x.tar", tree() | {"train/../../cat/0.png": b"x"})
    with pytest.raises(FileError, match="unsafe name"):
        load(path)


def test_undecodable_class_name_is_refused(tmp_path):
    path = write_tar(tmp_path / "x.tar", tree(classes=("cat", os.fsdecode(b"d\xffg"))))
    with pytest.raises(FileError, match="not a name that can be printed"):
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
    with pytest.raises(FileError, match="Raise max_gigabytes"):
        load(path, max_gigabytes=5e-6)
    assert len(load(path, max_gigabytes=1e-3)) == 6


def test_no_folder_named():
    with pytest.raises(UsageError, match="--data-dir"):
        OwnImages().load("train")


def test_nothing_at_the_place(tmp_path):
    with pytest.raises(FileError, match="nowhere cannot be read: No such file"):
        load(tmp_path / "nowhere")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_by_permission(tmp_path):
    path = write_tar(tmp_path / "x.tar", tree())
    path.chmod(0)
    with pytest.raises(FileError, match="Permission denied"):
        load(path)


@pytest.fixture
def decodings(monkeypatch):
    """The paths that were decoded, not read from the cache."""
    seen = []
    read = cached_images.read_picture_tree
    monkeypatch.setattr(
        cached_images, "read_picture_tree", lambda path, limit: (seen.append(path), read(path, limit))[1]
    )
    return seen  # fmt: skip


def test_decoded_once_for_all_runs(write, decodings):
    path = write(tree("RGB"))
    first = [load(path, split).sha256() for split in ("train", "test")]
    second = [load(path, split).sha256() for split in ("train", "test")]
    assert first == second
    assert len(decodings) == 1


def test_one_component_decodes_once_even_without_a_cache(tmp_path, monkeypatch, decodings, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FFPROBE_CACHE_DIR", str(tmp_path / "file"))
    dataset = OwnImages(data_dir=write_tar(tmp_path / "x.tar", tree()))
    dataset.load("train"), dataset.load("test")
    assert len(decodings) == 1
    assert "cannot be written" in caplog.text


def test_a_changed_picture_is_decoded_again(tmp_path, decodings):
    folder = write_folder(tmp_path / "pictures", tree())
    before = load(folder)
    (folder / "train/cat/0.png").write_bytes(packed(shade(200)))
    after = load(folder)
    assert len(decodings) == 2
    assert int(before.pixels[0, 0, 0, 0]) == 0
    assert int(after.pixels[0, 0, 0, 0]) == 200
    (folder / "train/cat/7.png").write_bytes(packed(shade(200)))
    assert len(load(folder)) == 7


def test_a_changed_tar_is_decoded_again(tmp_path, decodings):
    path = write_tar(tmp_path / "x.tar", tree())
    load(path)
    os.utime(path, ns=(1, 1))
    load(path)
    assert len(decodings) == 2


def test_a_damaged_cache_is_built_again(tmp_path, decodings):
    path = write_tar(tmp_path / "x.tar", tree())
    whole = load(path).sha256()
    (entry,) = (tmp_path / "cache" / "images").iterdir()
    os.truncate(entry, 500)
    assert load(path).sha256() == whole
    assert len(decodings) == 2
    load(path)
    assert len(decodings) == 2


def test_a_failed_decoding_is_not_kept(tmp_path):
    path = write_tar(tmp_path / "x.tar", tree(classes=["cat"]))
    for _ in range(2):
        with pytest.raises(FileError, match="one class"):
            load(path)
    assert not (tmp_path / "cache").exists()


def test_images_from_the_cache_can_be_trained_on(tmp_path):
    path = write_tar(tmp_path / "x.tar", tree())
    for _ in range(2):
        images = load(path)
        assert images.pixels.dtype == torch.uint8
        assert images.pixels.numpy().flags.writeable
