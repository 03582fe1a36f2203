"""Decoded pictures kept between runs."""

import os

import pytest
import torch
from ffprobe_plugins.datasets.images import OwnImages
from picture_files import load, packed, shade, tree, write_folder, write_tar

from ffprobe.data import cached_images
from ffprobe.errors import FileError


@pytest.fixture
def decodings(monkeypatch):
    """The paths that were decoded, not read from the cache."""
    seen = []
    read = cached_images.read_picture_tree

    def counted(path, limit):
        seen.append(path)
        return read(path, limit)

    monkeypatch.setattr(cached_images, "read_picture_tree", counted)
    return seen


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
        with pytest.raises(FileError, match="contains only the class"):
            load(path)
    assert not (tmp_path / "cache").exists()


def test_images_from_the_cache_can_be_trained_on(tmp_path):
    path = write_tar(tmp_path / "x.tar", tree())
    for _ in range(2):
        images = load(path)
        assert images.pixels.dtype == torch.uint8
        assert images.pixels.numpy().flags.writeable
