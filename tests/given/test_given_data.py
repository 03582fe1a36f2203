"""Data that a program hands in."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from torchvision.datasets import FakeData

import ffprobe
from ffprobe.given.data import data_word
from ffprobe.plugin.given import given_component


def parts(data):
    """The samples of both splits, as a run loads them."""
    dataset = given_component(str(data_word(data)))()
    return dataset.load("train"), dataset.load("test")


X = np.random.default_rng(0).normal(size=(50, 4))
Y = np.arange(50) % 2


def test_a_fifth_becomes_the_test_set_the_same_every_time():
    train, test = parts((X, Y))
    assert (len(train), len(test), train.shape) == (40, 10, (4,))
    assert test.labels.bincount().tolist() == [5, 5]
    assert parts((X, Y))[1].sha256() == test.sha256()


def test_labels_may_be_text_and_classes_are_sorted():
    train, test = parts({"train": (X, np.where(Y, "yes", "no")), "test": (X[:4], ["no", "yes", "no", "yes"])})
    assert train.classes == test.classes == ("no", "yes")
    assert train.labels.tolist() == Y.tolist()
    assert test.labels.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("inputs", "shape", "kind"),
    [
        (np.zeros((8, 5, 6), np.uint8), (1, 5, 6), "pixels"),
        (np.zeros((8, 5, 6, 3), np.uint8), (3, 5, 6), "pixels"),
        (np.zeros((8, 3, 6, 6), np.uint8), (3, 6, 6), "pixels"),
        (np.zeros((8, 2, 30)), (2, 30), "values"),
        (np.zeros((8, 7), np.int64), (7,), "values"),
        (torch.zeros(8, 2, 4, 4), (2, 4, 4), "values"),
    ],
)
def test_shapes_and_dtypes_decide_what_the_inputs_are(inputs, shape, kind):
    train, _ = parts((inputs, np.arange(8) % 2))
    assert (train.shape, train.kind) == (shape, kind)


def test_torch_data_sets_and_loaders_give_their_items():
    tensors = TensorDataset(torch.tensor(X), torch.tensor(Y))
    assert parts(tensors)[0].sha256() == parts(DataLoader(tensors, 7))[0].sha256() == parts((X, Y))[0].sha256()
    train, _ = parts(FakeData(size=12, image_size=(3, 8, 9), num_classes=2))
    assert (train.shape, train.kind) == ((3, 8, 9), "pixels")


class Column(list):
    """A column of a table."""


class ClassLabel:
    """The type of a column of labels, by the name that Hugging Face uses."""

    names = ("cat", "dog")


class Table:
    """The part of a data set of Hugging Face that is read."""

    def __init__(self, **columns):
        self.columns = columns
        self.column_names = list(columns)
        self.features = {name: ClassLabel() if name == "kind" else None for name in columns}

    def __len__(self):
        return len(self.columns["kind"])

    def __getitem__(self, key):
        return self.columns[key] if isinstance(key, str) else {n: c[key] for n, c in self.columns.items()}


def test_columns_of_a_table_become_features_and_the_label():
    table = Table(a=list(X[:, 0]), kind=list(map(int, Y)), b=list(X[:, 1]))
    train, _ = parts({"train": table, "test": table})
    np.testing.assert_allclose(train.inputs, X[:, :2].astype(np.float32))
    assert train.labels.tolist() == Y.tolist()
    assert train.classes == ("cat", "dog")
    with pytest.raises(ffprobe.UsageError, match="'text' is neither the label nor a number"):
        parts(Table(a=list(X[:, 0]), text=["x"] * 50, kind=list(Y)))


class Endless(IterableDataset):
    """A stream."""

    def __iter__(self):
        while True:
            yield torch.zeros(2), 0


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ((X, Y[:-1]), "50 inputs and 49 labels"),
        ((X, X[:, 0]), "classifiers only"),
        ((X, np.eye(2)[Y]), "argmax|one label for each sample"),
        ((np.full((4, 2), np.nan), [0, 1, 0, 1]), "NaN or infinite"),
        ((X, np.zeros(50)), "at least two classes"),
        ((X[:, 0], Y), r"not float64 \[50\]"),
        ((X.astype(str), Y), "must be numbers"),
        ({"test": (X, Y)}, "no part 'train'"),
        ({"train": (X, Y), "test": (X, Y + 1)}, "contain 2, which no training label is"),
        (Endless(), "no length"),
        (42, "is no data set"),
        ((X[:2], [0, 1]), "none of them is a test sample"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(data, sentence):
    with pytest.raises(ffprobe.UsageError, match=sentence):
        parts(data)
