"""MNIST and Fashion-MNIST, from files written as they are published."""

import gzip
import struct
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torchvision.datasets
from ffprobe_plugins.datasets import fashion_mnist
from ffprobe_plugins.datasets.fashion_mnist import DEBIAN, FashionMNIST
from ffprobe_plugins.datasets.mnist import MNIST

from ffprobe.data.idx import read_idx_split
from ffprobe.data.images import channel_statistics
from ffprobe.errors import FileError

COUNTS = {"train": 30, "t10k": 20}


def arrays(start):
    random = np.random.default_rng(len(start))
    labels = np.arange(COUNTS[start], dtype=np.uint8) % 10
    return random.integers(0, 256, (COUNTS[start], 28, 28), dtype=np.uint8), labels


def idx(array):
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write(folder, packed=False, dotted=False):
    folder.mkdir(parents=True)
    for start in COUNTS:
        for array, kind in zip(arrays(start), ("images-idx3", "labels-idx1"), strict=True):
            name = f"{start}-{kind.replace('-', '.') if dotted else kind}-ubyte"
            content = gzip.compress(idx(array)) if packed else idx(array)
            (folder / (name + ".gz" * packed)).write_bytes(content)


@pytest.fixture(autouse=True)
def no_debian(monkeypatch, tmp_path):
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("layout", ["", "raw"])
@pytest.mark.parametrize(
    ("dataset", "below", "mean", "std"),
    [(MNIST, "MNIST", 0.1307, 0.3081), (FashionMNIST, "FashionMNIST", 0.2860, 0.3530)],
)
def test_reads_both_layouts(tmp_path, dataset, below, mean, std, layout, packed):
    folder = tmp_path / "data"
    write(folder / below / "raw" if layout else folder, packed)
    for split, start in (("train", "train"), ("test", "t10k")):
        images = dataset(data_dir=folder).load(split)
        pixels, labels = arrays(start)
        assert np.array_equal(images.pixels.numpy(), pixels[:, None])
        assert np.array_equal(images.labels.numpy(), labels)
        assert (images.mean, images.std) == ((mean,), (std,))
        assert len(images.classes) == 10


def test_agrees_with_torchvision(tmp_path):
    write(tmp_path / "data" / "FashionMNIST" / "raw")
    theirs = torchvision.datasets.FashionMNIST(str(tmp_path / "data"), train=True)
    ours = FashionMNIST(data_dir=tmp_path / "data").load("train")
    assert ours.pixels[:, 0].equal(theirs.data)
    assert ours.labels.equal(theirs.targets)
    assert list(ours.classes) == theirs.classes


def test_dotted_names(tmp_path):
    write(tmp_path / "data", dotted=True)
    assert len(MNIST(data_dir=tmp_path / "data").load("test")) == 20


def test_default_folder(tmp_path):
    write(tmp_path / "default-data" / "MNIST" / "raw")
    assert len(MNIST().load("train")) == 30


def test_fashion_mnist_of_debian_is_used_only_if_no_folder_was_named(tmp_path):
    write(tmp_path / "debian", packed=True)
    assert len(FashionMNIST().load("train")) == 30
    with pytest.raises(FileError, match="are not in"):
        FashionMNIST(data_dir=tmp_path / "elsewhere").load("train")
    # the files of MNIST have the same names
    with pytest.raises(FileError, match="are not in"):
        MNIST().load("train")


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="the package dataset-fashion-mnist is not installed")
def test_the_real_fashion_mnist(monkeypatch):
    monkeypatch.setattr(fashion_mnist, "DEBIAN", DEBIAN)
    train, test = FashionMNIST().load("train"), FashionMNIST().load("test")
    assert (train.pixels.shape, test.pixels.shape) == ((60000, 1, 28, 28), (10000, 1, 28, 28))
    assert train.labels[:5].tolist() == [9, 0, 0, 3, 0]
    assert set(train.labels.bincount().tolist()) == {6000}
    mean, std = channel_statistics(train.pixels)
    assert mean == pytest.approx(train.mean, abs=1e-4)
    assert std == pytest.approx(train.std, abs=1e-4)


def test_missing_files_are_reported_with_folders_and_options(tmp_path):
    with pytest.raises(FileError) as caught:
        FashionMNIST(data_dir=tmp_path / "nowhere").load("train")
    for part in (str(tmp_path / "nowhere"), "FashionMNIST/raw", "--download", "--data-dir", "dataset-fashion-mnist"):
        assert part in str(caught.value)


def test_one_missing_file_is_named(tmp_path):
    write(tmp_path / "data")
    (tmp_path / "data" / "t10k-labels-idx1-ubyte").unlink()
    assert len(MNIST(data_dir=tmp_path / "data").load("train")) == 30
    with pytest.raises(FileError, match="has no t10k-labels-idx1-ubyte"):
        MNIST(data_dir=tmp_path / "data").load("test")


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros(29, dtype=np.uint8), "30 images, but .* 29 labels"),
        (np.full(30, 10, dtype=np.uint8), "train-labels.* is damaged, or of another data set: it has the label 10"),
    ],
)
def test_labels_that_do_not_fit(tmp_path, array, reason):
    write(tmp_path / "data")
    (tmp_path / "data" / "train-labels-idx1-ubyte").write_bytes(idx(array))
    with pytest.raises(FileError, match=reason):
        MNIST(data_dir=tmp_path / "data").load("train")


def write_letters(folder, train, test):
    """The files of EMNIST letters, whose labels are 1 to 26."""
    folder.mkdir()
    for start, labels in (("train", train), ("t10k", test)):
        labels = np.array(labels, dtype=np.uint8)
        (folder / f"{start}-labels-idx1-ubyte").write_bytes(idx(labels))
        (folder / f"{start}-images-idx3-ubyte").write_bytes(idx(np.zeros((len(labels), 2, 2), dtype=np.uint8)))
    return folder


def test_the_labels_of_emnist_letters_start_at_one(tmp_path):
    # the test labels alone, 1 to 25, would also fit classes from 0 on
    folder = write_letters(tmp_path / "letters", range(1, 27), range(25, 0, -1))
    assert read_idx_split(folder, "train", 26)[1].tolist() == list(range(26))
    assert read_idx_split(folder, "test", 26)[1].tolist() == list(range(24, -1, -1))
    (folder / "train-labels-idx1-ubyte").unlink()
    assert read_idx_split(folder, "test", 26, first_label=1)[1].tolist() == list(range(24, -1, -1))


def test_labels_that_are_not_exactly_one_to_the_number_of_classes_start_at_zero(tmp_path):
    folder = write_letters(tmp_path / "gap", [1, 2, 3], [1])
    assert read_idx_split(folder, "train", 4)[1].tolist() == [1, 2, 3]
    with pytest.raises(FileError, match="has the label 4; the 4 classes have the labels 0 to 3"):
        read_idx_split(write_letters(tmp_path / "too many", [1, 2, 4], [1]), "train", 4)
    with pytest.raises(FileError, match=r"t10k-labels.* has the label 0; the 3 classes have the labels 1 to 3"):
        read_idx_split(write_letters(tmp_path / "mixed", [1, 2, 3], [0]), "test", 3)
    assert read_idx_split(folder, "train", 4, first_label=1)[1].tolist() == [0, 1, 2]


class FakeDownload:
    """Stands for torchvision's download: counts, and writes files or fails."""

    def __init__(self, failure=None):
        self.failure, self.calls = failure, 0

    def __call__(self, url, download_root, **_):
        self.calls += 1
        if self.failure:
            raise self.failure
        if not list(Path(download_root).iterdir()):
            Path(download_root).rmdir()
            write(Path(download_root))


@pytest.fixture
def patch_download(monkeypatch):
    def patch(failure=None):
        fake = FakeDownload(failure)
        monkeypatch.setattr(torchvision.datasets.mnist, "download_and_extract_archive", fake)
        return fake

    return patch


def test_download_fetches_once(patch_download, tmp_path):
    fake = patch_download()
    for _ in range(2):
        assert len(MNIST(data_dir=tmp_path / "data", download=True).load("train")) == 30
    assert fake.calls == 4  # the four files
    assert (tmp_path / "data" / "MNIST" / "raw").is_dir()


def test_nothing_is_downloaded_without_need_or_request(patch_download, tmp_path):
    fake = patch_download()
    with pytest.raises(FileError):
        MNIST(data_dir=tmp_path / "none").load("train")
    write(tmp_path / "data")
    MNIST(data_dir=tmp_path / "data", download=True).load("train")
    assert fake.calls == 0


@pytest.mark.parametrize("failure", [kind("no route to host") for kind in (URLError, RuntimeError, OSError)])
def test_a_failed_download_is_a_one_line_error(patch_download, tmp_path, failure):
    patch_download(failure)
    with pytest.raises(FileError, match=r"Downloading MNIST into .* failed: .*no route to host") as caught:
        MNIST(data_dir=tmp_path / "data", download=True).load("train")
    assert "\n" not in str(caught.value)
