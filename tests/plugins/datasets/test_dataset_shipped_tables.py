"""The tables that come with scikit-learn: wine and breast cancer."""

import numpy as np
import pytest
import torch
from ffprobe_plugins.datasets.breast_cancer import BreastCancer
from ffprobe_plugins.datasets.shipped_tables import shipped_table
from ffprobe_plugins.datasets.wine import Wine
from sklearn.datasets import load_breast_cancer, load_wine


@pytest.mark.parametrize(
    ("dataset", "published", "counts", "hashes"),
    [
        (Wine, load_wine, [12, 14, 10], ("7fd13e7fc8c0d789", "509c540f169ba961")),
        (BreastCancer, load_breast_cancer, [42, 71], ("cb8bff294f8271d7", "20dd6fa290baa78e")),
    ],
)
def test_the_split_never_changes(dataset, published, counts, hashes):
    train, test = dataset().load("train"), dataset().load("test")
    assert test.labels.bincount().tolist() == counts
    rows = torch.cat([train.inputs, test.inputs])
    table = torch.from_numpy(published().data).float()
    assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, table.tolist()))  # each sample is in one part
    assert train.mean == ()  # a run computes it, after it has held out its validation samples
    # changing the split would change every number published on it
    assert (train.sha256()[:16], test.sha256()[:16]) == hashes


@pytest.mark.parametrize(
    ("file", "loader", "published"),
    [("wine_data.csv", "load_wine", load_wine), ("breast_cancer.csv", "load_breast_cancer", load_breast_cancer)],
)
def test_the_table_equals_scikit_learns_also_if_its_file_has_moved(file, loader, published, monkeypatch):
    by_file, bunch = shipped_table(file, loader), published()
    np.testing.assert_array_equal(by_file, np.column_stack([bunch.data, bunch.target]))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    np.testing.assert_array_equal(shipped_table(file, loader), by_file)


def test_class_names_are_scikit_learns():
    assert BreastCancer().load("test").classes == tuple(load_breast_cancer().target_names)
    assert Wine().load("test").classes == tuple(name.replace("_", " ") for name in load_wine().target_names)
