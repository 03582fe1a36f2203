"""Any map-style torch data set, named by its class."""

import importlib
import random
import sys

import numpy as np
import pytest
import torch
from ffprobe_plugins.datasets import torch_dataset
from ffprobe_plugins.datasets.torch_dataset import TorchDataset
from PIL import Image

from ffprobe.config.trust import CLASS
from ffprobe.errors import FfprobeError, FileError, UsageError
from ffprobe.testing import check_plugin
from ffprobe.testing.randomness import global_states, moved

FAKE = {"size": 40, "image_size": [3, 6, 5], "num_classes": 2}
MODULE = """
import torch
from torch.utils.data import Dataset, IterableDataset

class Pairs(Dataset):
    items = [(torch.tensor([float(i), 1.0]), "ab"[i % 2]) for i in range(20)]
    def __len__(self):
        return len(self.items)
    def __getitem__(self, index):
        return self.items[index]

class Parts(Pairs):
    def __init__(self, root, train=True, download=False, *, shift=0):
        self.items = [(torch.tensor([i + shift, float(train)]), i % 2) for i in range(8 if train else 4)]
        self.classes = ["even", "odd"]
        self.given = (root, train, download)
        made.append(self.given)

class Split(Parts):
    def __init__(self, split):
        super().__init__("", split == "train")

class Broken(Pairs):
    def __init__(self):
        raise RuntimeError("no files,\\n sorry")

class Drawn(Pairs):
    def __getitem__(self, index):
        return torch.rand(3), index % 2

class Endless(IterableDataset):
    def __iter__(self):
        yield 0

class Undecided:
    def __len__(self): return 1
    def __getitem__(self, index): raise AssertionError

made = []
def function(): raise AssertionError
"""


@pytest.fixture(autouse=True)
def mine(tmp_path, monkeypatch):
    """The module, imported under a name of this test only."""
    name = f"mine_{random.getrandbits(32):08x}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def load(code, split="train", data_dir=None, download=False, **params):
    return TorchDataset(TorchDataset.Params(code=code, **params), data_dir, download).load(split)


def test_a_class_without_parts_is_split(mine):
    train, test = load(f"{mine}.Pairs"), load(f"{mine}.Pairs", "test")
    assert (train.classes, train.shape, train.kind) == (("a", "b"), (2,), "values")
    values = torch.cat([train.inputs, test.inputs])[:, 0].tolist()
    assert sorted(values) == list(range(20))
    assert test.labels.bincount().tolist() == [2, 2]
    assert [value % 2 for value in values] == [*train.labels, *test.labels]


@pytest.mark.parametrize(("name", "options"), [("Parts", {"data_dir": "folder"}), ("Split", {})])
def test_train_or_split_selects_the_part(mine, tmp_path, name, options):
    options = {key: tmp_path / value for key, value in options.items()}
    train, test = (load(f"{mine}.{name}", split, **options) for split in ("train", "test"))
    assert (len(train), len(test)) == (8, 4)
    assert train.inputs[:, 1].unique().tolist() == [1.0]
    assert test.inputs[:, 1].unique().tolist() == [0.0]
    assert train.classes == test.classes == ("even", "odd")


def test_root_and_download_are_the_users_and_arguments_are_added(mine, tmp_path):
    train = load(f"{mine}.Parts", data_dir=tmp_path, download=True, arguments={"shift": 5})
    assert importlib.import_module(mine).made == [(str(tmp_path), True, True), (str(tmp_path), False, True)]
    assert train.inputs[:, 0].tolist() == list(range(5, 13))
    fixed = load(f"{mine}.Parts", "test", data_dir=tmp_path, arguments={"train": False})
    assert len(fixed) == 2  # a part of its test part, half of each class


def test_pictures_become_pixels_and_grey_ones_join_colour():
    samples = load("torchvision.datasets.FakeData", arguments=FAKE)
    assert (samples.kind, samples.shape) == ("pixels", (3, 6, 5))
    grey, colour = Image.new("L", (3, 2), 7), Image.new("RGBA", (3, 2), (1, 2, 3, 255))
    items, labels = torch_dataset.stacked([(grey, 0), (colour, torch.tensor(1)), (Image.new("1", (3, 2), 1), 0)], "X")
    assert items.shape == (3, 3, 2, 3)
    assert items[:, :, 0, 0].tolist() == [[7, 7, 7], [1, 2, 3], [255, 255, 255]]
    assert labels.tolist() == [0, 1, 0]


def test_random_items_are_drawn_once_without_touching_global_generators(mine):
    one = load(f"{mine}.Drawn")
    torch.rand(1)
    before = global_states()
    assert load(f"{mine}.Drawn").sha256() == one.sha256()
    assert not moved(before)


def test_arrays_of_integers_stay_so_that_they_can_be_tokens():
    inputs, _ = torch_dataset.stacked([(np.array([i, 7]), i % 2) for i in range(3)], "X")
    assert (inputs.dtype.kind, inputs.tolist()) == ("i", [[0, 7], [1, 7], [2, 7]])


@pytest.mark.parametrize(
    ("name", "params", "error", "message"),
    [
        ("", {}, UsageError, r"needs a class\. For example"),
        ("Pairs", {}, UsageError, "'dataset.code' cannot be 'Pairs'"),
        ("nowhere_at_all.Pairs", {}, UsageError, "cannot be imported: ModuleNotFoundError"),
        ("{mine}.Nothing", {}, UsageError, "no class of a map-style"),
        ("{mine}.Endless", {}, UsageError, "no class of a map-style"),
        ("{mine}.Undecided", {}, UsageError, "no class of a map-style"),
        ("{mine}.function", {}, UsageError, "no class of a map-style"),
        (
            "numpy.memmap",
            {"arguments": {"filename": "precious", "mode": "w+", "shape": 3}},
            UsageError,
            "no class of a",
        ),
        ("{mine}.Parts", {}, UsageError, r"needs a folder for its files\. Add --data-dir"),
        ("{mine}.Pairs", {"arguments": {"size": 3}}, UsageError, "cannot be built: got an unexpected.*'size'"),
        ("{mine}.Parts", {"arguments": {"root": "/"}}, UsageError, "cannot contain 'root'.*--data-dir"),
        ("{mine}.Parts", {"arguments": {"download": True}}, UsageError, "cannot contain 'download'"),
        ("{mine}.Broken", {}, FileError, "cannot be built: RuntimeError: no files, sorry. Check"),
    ],
)
def test_what_cannot_be_used_is_a_sentence(mine, name, params, error, message):
    with pytest.raises(error, match=message) as caught:
        load(name.format(mine=mine), **params)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "has no items"),
        ([5], "Item 0 of X is int, not a pair"),
        ([(torch.zeros(2), 0), (torch.zeros(3), 0)], r"Item 1 of X has the shape \[3\], but item 0 has \[2\]"),
        ([("text", 0)], "The input of item 0 of X is str"),
        ([(torch.zeros(2), torch.zeros(4))], r"The label of item 0 of X is Tensor \[4\]"),
        ([(Image.new("I;16", (2, 2)), 0)], "mode I;16, which has more than 8 bits"),
    ],
)
def test_items_that_cannot_be_stacked_are_named(items, message):
    with pytest.raises(FfprobeError, match=message) as caught:
        torch_dataset.stacked(items, "X")
    assert caught.value.hint


def test_every_class_that_is_imported_is_code_that_a_file_needs_trust_for():
    assert torch_dataset.CLASS == CLASS


def test_the_contract():
    settings = {"code": "torchvision.datasets.FakeData", "arguments": FAKE}
    check_plugin("torch-dataset", settings=settings).raise_for_failures()
