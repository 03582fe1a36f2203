"""SVHN, from .mat files written as they are published."""

import hashlib

import numpy as np
import pytest
import scipy.io
import torchvision.datasets
from ffprobe_plugins.datasets.svhn import SVHN

from ffprobe.errors import FileError


@pytest.fixture
def write(tmp_path, monkeypatch):
    def make(below):
        folder = tmp_path / "data" / below
        folder.mkdir(parents=True)
        published = dict(torchvision.datasets.SVHN.split_list)
        for seed, split in enumerate(("train", "test")):
            pixels = pictures(seed)
            labels = np.array([[10], [1], [9], [10], [5]], dtype=np.uint8)
            path = folder / f"{split}_32x32.mat"
            scipy.io.savemat(path, {"X": pixels, "y": labels}, do_compression=True)
            url, name, _ = published[split]
            published[split] = [url, name, hashlib.md5(path.read_bytes()).hexdigest()]
        monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", published)
        return tmp_path / "data"

    return make


def pictures(seed):
    return np.random.default_rng(seed).integers(0, 256, (32, 32, 3, 5), dtype=np.uint8)


@pytest.mark.parametrize("below", ["", "SVHN"])
def test_reads_the_files(write, below):
    folder = write(below)
    for seed, split in enumerate(("train", "test")):
        images = SVHN(data_dir=folder).load(split)
        assert np.array_equal(images.pixels.numpy(), pictures(seed).transpose(3, 2, 0, 1))
        assert images.labels.tolist() == [0, 1, 9, 0, 5]
        assert images.mean == (0.4377, 0.4438, 0.4728)
        assert images.std == (0.1980, 0.2010, 0.1970)
        assert images.classes == tuple("0123456789")
        assert images.pixels.is_contiguous()


def test_each_split_needs_its_own_file_only(write):
    folder = write("")
    (folder / "train_32x32.mat").unlink()
    assert len(SVHN(data_dir=folder).load("test")) == 5
    with pytest.raises(FileError, match=r"train_32x32\.mat .* not in .*--download"):
        SVHN(data_dir=folder).load("train")


def test_a_damaged_file_is_named(write):
    folder = write("")
    (folder / "test_32x32.mat").write_bytes((folder / "test_32x32.mat").read_bytes()[:-10])
    with pytest.raises(FileError, match=r"test_32x32\.mat is damaged"):
        SVHN(data_dir=folder).load("test")


def test_download_asks_for_the_split(tmp_path, monkeypatch):
    asked = []

    def fail(url, *_):
        asked.append(url)
        raise OSError("no network")

    monkeypatch.setattr(torchvision.datasets.svhn, "download_url", fail)
    with pytest.raises(FileError, match=r"Downloading SVHN into .* failed: no network"):
        SVHN(data_dir=tmp_path, download=True).load("test")
    assert [url.rsplit("/", 1)[-1] for url in asked] == ["test_32x32.mat"]
