"""A user's own pictures, from folders and tars."""

import pytest
from picture_files import load, packed, tree, write_folder, write_tar
from PIL import Image

from ffprobe.data.images import channel_statistics


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
def test_a_parent_folder_is_accepted(write, above):
    assert len(load(write({above + name: content for name, content in tree().items()}))) == 6


def test_other_files_are_ignored(write):
    extra = {"README.txt": b"x", "train/cat/Thumbs.db": b"x", "train/cat/._0.png": b"x", "train/.hidden/0.png": b"x"}
    assert len(load(write(tree() | extra | {"preview.png": b"x"}))) == 6


def test_links_in_the_users_own_folder_are_followed(tmp_path):
    write_folder(tmp_path / "pictures", tree())
    store = (tmp_path / "pictures" / "train").rename(tmp_path / "store")
    (tmp_path / "pictures" / "train").mkdir()
    for label in ("cat", "dog"):
        (tmp_path / "pictures" / "train" / label).symlink_to(store / label)
    assert len(load(tmp_path / "pictures")) == 6
