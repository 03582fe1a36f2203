"""CIFAR-10 and CIFAR-100, from batches written as they are published."""

import hashlib
import pickle
import warnings

import numpy as np
import pytest
import torchvision.datasets
from ffprobe_plugins.datasets.cifar10 import CIFAR10
from ffprobe_plugins.datasets.cifar100 import CIFAR100

from ffprobe.data.images import channel_statistics
from ffprobe.errors import FileError


def old_dtype(*arguments):
    """Complains as numpy 2.4.0 to 2.4.4 do, whatever numpy is installed."""
    warnings.warn("align should be passed as boolean", np.exceptions.VisibleDeprecationWarning, stacklevel=2)
    return np.dtype(*arguments)


class OldDtype:
    """Pickles as numpy 1 wrote uint8."""

    def __reduce__(self):
        return old_dtype, ("u1", 0, 1), (3, "|", None, None, None, -1, -1, 0)


class OldArray:
    """Pickles as the arrays in the official batches do."""

    def __init__(self, array):
        self.array = array

    def __reduce__(self):
        rebuild = np.empty(0).__reduce__()[0]
        return rebuild, (np.ndarray, (0,), b"b"), (1, self.array.shape, OldDtype(), False, self.array.tobytes())


def pictures(seed, count=20):
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)


def write(folder, contents, monkeypatch, reader):
    folder.mkdir(parents=True)
    checksums = {}
    for name, content in contents.items():
        packed = pickle.dumps(content, protocol=2)
        (folder / name).write_bytes(packed)
        checksums[name] = hashlib.md5(packed).hexdigest()
    monkeypatch.setattr(reader, "train_list", [[name, checksums[name]] for name, _ in reader.train_list])
    monkeypatch.setattr(reader, "test_list", [[name, checksums[name]] for name, _ in reader.test_list])
    monkeypatch.setattr(reader, "meta", {**reader.meta, "md5": checksums[reader.meta["filename"]]})


NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


@pytest.fixture
def cifar10(tmp_path, monkeypatch):
    def make(below):
        contents = {
            name: {"data": OldArray(pictures(i).reshape(20, -1)), "labels": [(i + j) % 10 for j in range(20)]}
            for i, name in enumerate([f"data_batch_{b}" for b in range(1, 6)] + ["test_batch"])
        }
        contents["batches.meta"] = {"label_names": NAMES}
        write(tmp_path / "data" / below, contents, monkeypatch, torchvision.datasets.CIFAR10)
        return tmp_path / "data"

    return make


@pytest.mark.parametrize("below", ["", "cifar-10-batches-py"])
def test_cifar10(cifar10, below):
    folder = cifar10(below)
    train, test = (CIFAR10(data_dir=folder).load(split) for split in ("train", "test"))
    assert np.array_equal(train.pixels.numpy(), np.concatenate([pictures(i) for i in range(5)]))
    assert np.array_equal(test.pixels.numpy(), pictures(5))
    assert train.labels[20:24].tolist() == [1, 2, 3, 4]
    assert train.classes == test.classes == tuple(NAMES)
    assert train.mean == test.mean == (0.4914, 0.4822, 0.4465)
    assert train.std == test.std == (0.2023, 0.1994, 0.2010)
    assert train.pixels.is_contiguous()


def test_cifar100(tmp_path, monkeypatch):
    names = [f"thing-{i}" for i in range(100)]
    contents = {
        "train": {"data": OldArray(pictures(1, 120).reshape(120, -1)), "fine_labels": [i % 100 for i in range(120)]},
        "test": {"data": OldArray(pictures(2).reshape(20, -1)), "fine_labels": list(range(20))},
        "meta": {"fine_label_names": names},
    }
    write(tmp_path / "data" / "cifar-100-python", contents, monkeypatch, torchvision.datasets.CIFAR100)
    train, test = (CIFAR100(data_dir=tmp_path / "data").load(split) for split in ("train", "test"))
    assert np.array_equal(test.pixels.numpy(), pictures(2))
    assert train.classes == test.classes == tuple(names)
    assert (train.mean, train.std) == (test.mean, test.std) == channel_statistics(train.pixels)


def test_a_changed_batch_is_named_and_not_unpickled(cifar10, capsys):
    folder = cifar10("")
    (folder / "data_batch_3").write_bytes(b"cbuiltins\nprint\n(S'unpickled'\ntR.")
    with pytest.raises(FileError, match="data_batch_3 is damaged, or not the published file"):
        CIFAR10(data_dir=folder).load("train")
    assert "unpickled" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["data_batch_2", "batches.meta"])
def test_a_missing_batch_is_named(cifar10, name):
    folder = cifar10("cifar-10-batches-py")
    (folder / "cifar-10-batches-py" / name).unlink()
    with pytest.raises(FileError, match=f"has no {name}.*--download"):
        CIFAR10(data_dir=folder).load("train")


@pytest.mark.parametrize("dataset", [CIFAR10, CIFAR100])
def test_missing_files(tmp_path, dataset):
    with pytest.raises(FileError, match=r"are not in .*nowhere.*--download"):
        dataset(data_dir=tmp_path / "nowhere").load("train")


def test_a_failed_download_is_a_one_line_error(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("File not found\nor corrupted.")

    monkeypatch.setattr(torchvision.datasets.cifar, "download_and_extract_archive", fail)
    with pytest.raises(FileError, match=r"failed: File not found or corrupted\. Try again"):
        CIFAR10(data_dir=tmp_path, download=True).load("train")
