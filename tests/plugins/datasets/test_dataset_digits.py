"""The digits that come with scikit-learn."""

import subprocess
import sys

import numpy as np
import torch
from ffprobe_plugins.datasets.digits import Digits, published
from sklearn.datasets import load_digits


def test_the_split_never_changes():
    train, test = Digits().load("train"), Digits().load("test")
    assert (len(train), len(test)) == (1437, 360)
    assert train.shape == test.shape == (1, 8, 8)
    assert (train.mean, train.std, train.classes) == (test.mean, test.std, test.classes)
    # changing the split would change every number published on it
    assert train.sha256() == "c976ee137427f0fbcf71d55c87948f4d915cbdb77008869fad71bd5e4f085397"
    assert test.sha256() == "2abbc9b86c522f24fd192b19d4344e11a52850e6f84ee0e9df0553217f571a2f"


def test_the_table_equals_scikit_learns_also_if_its_file_has_moved(monkeypatch):
    by_file = published()
    digits = load_digits()
    np.testing.assert_array_equal(by_file, np.column_stack([digits.data, digits.target]))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    np.testing.assert_array_equal(published(), by_file)


def test_scikit_learn_is_not_imported_for_it():
    code = "import sys; from ffprobe_plugins.datasets.digits import Digits; Digits().load('test')"
    code += "; assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_digit_is_in_one_split_with_its_published_values():
    both = [Digits().load(split) for split in ("train", "test")]
    ours = torch.cat([data.pixels for data in both]).flatten(1)
    published = torch.from_numpy(load_digits().data)
    assert sorted(map(tuple, (ours / (255 / 16)).round().int().tolist())) == sorted(
        map(tuple, published.int().tolist())
    )
    assert int(ours.max()) == 255


def test_test_set_is_stratified():
    counts = torch.bincount(Digits().load("test").labels)
    assert int(counts.min()) >= 34
    assert int(counts.max()) <= 37
