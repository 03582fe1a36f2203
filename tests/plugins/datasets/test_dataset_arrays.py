"""A user's own arrays, from .npz, .npy and .mat files."""

import numpy as np
import pytest
import scipy.io
import torch
from ffprobe_plugins.datasets.arrays import Arrays

from ffprobe.errors import FfprobeError, FileError, UsageError
from ffprobe.testing import check_plugin

X = np.random.default_rng(0).normal(size=(20, 3))
Y = np.array(["b", "a"] * 10)


def write_npz(folder, arrays):
    np.savez(folder / "d.npz", **arrays)
    return folder / "d.npz"


def write_npy(folder, arrays):
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def write_mat(folder, arrays):
    scipy.io.savemat(folder / "d.mat", arrays)
    return folder / "d.mat"


def load(path, split="train", **params):
    return Arrays(Arrays.Params(**params), data_dir=path).load(split)


@pytest.mark.parametrize("write", [write_npz, write_npy, write_mat])
def test_each_format_gives_the_same_samples(tmp_path, write):
    path = write(tmp_path, {"X": X, "y": Y})
    train, test = load(path), load(path, "test")
    assert train.classes == test.classes == ("a", "b")
    assert train.labels.bincount().tolist() == [8, 8]
    rows = torch.cat([train.inputs, test.inputs])
    labels = torch.cat([train.labels, test.labels])
    order = [int((rows == torch.from_numpy(row).float()).all(1).nonzero()) for row in X]
    assert labels[order].tolist() == [1, 0] * 10


def test_train_and_test_arrays_are_found_by_their_usual_names(tmp_path):
    arrays = {"x_train": X[:12], "y_train": Y[:12], "x_test": X[12:], "y_test": Y[12:]}
    path = write_npz(tmp_path, arrays)
    assert torch.equal(load(path).inputs, torch.from_numpy(X[:12]).float())
    assert torch.equal(load(path, "test").inputs, torch.from_numpy(X[12:]).float())


def test_arrays_are_named_by_settings(tmp_path):
    path = write_npz(tmp_path, {"a": X, "b": Y, "c": X[:3] + 1, "d": Y[:3]})
    names = {"inputs": "a", "labels": "b", "test_inputs": "c", "test_labels": "d"}
    assert torch.equal(load(path, "test", **names).inputs, torch.from_numpy(X[:3] + 1).float())
    assert len(load(path, **names)) == 20


def test_the_test_samples_may_be_in_another_file(tmp_path):
    np.savez(tmp_path / "later.npz", X=X[:4] + 1, y=Y[:4])
    path = write_npz(tmp_path, {"X": X, "y": Y})
    test = load(path, "test", test_file="later.npz")
    assert torch.equal(test.inputs, torch.from_numpy(X[:4] + 1).float())
    assert test.labels.tolist() == [1, 0, 1, 0]


def test_pictures_signals_and_tokens(tmp_path):
    pictures = load(write_npz(tmp_path, {"X": np.zeros((20, 8, 8), np.uint8), "y": Y}))
    assert (pictures.kind, pictures.shape) == ("pixels", (1, 8, 8))
    signals = load(write_npz(tmp_path, {"X": np.zeros((20, 2, 9)), "y": Y}))
    assert (signals.kind, signals.shape) == ("values", (2, 9))
    tokens = np.arange(40).reshape(20, 2)
    path = write_npz(tmp_path, {"X": tokens, "y": Y})
    assert load(path, tokens=True).shape == load(path, "test", tokens=True).shape == (40, 2)
    assert load(path, tokens=True, vocabulary=64).shape == (64, 2)
    with pytest.raises(FileError, match="with a vocabulary of 8"):
        load(path, tokens=True, vocabulary=8)


def test_groups_are_in_one_part_and_weights_go_with_their_samples(tmp_path):
    path = write_npz(tmp_path, {"X": X, "y": Y, "who": np.arange(20) // 4, "how": X[:, 0] ** 2})
    train, test = (load(path, split, groups="who", weights="how") for split in ("train", "test"))
    assert not set(train.groups.tolist()) & set(test.groups.tolist())
    torch.testing.assert_close(train.weights.float(), train.inputs[:, 0] ** 2)


def test_objects_are_never_unpickled(tmp_path, capsys):
    class Evil:
        def __reduce__(self):
            return print, ("unpickled",)

    objects = np.array([Evil()] * 20, dtype=object)
    for write in (write_npz, write_npy):
        with pytest.raises(FileError, match=r"'X' of .* has objects.*pickles, which may run code"):
            load(write(tmp_path, {"X": objects, "y": Y}))
    cells = np.array([[1, 2], "text"], dtype=object)  # a cell array
    with pytest.raises(FileError, match=r"'X' of .*d\.mat is no array of numbers"):
        load(write_mat(tmp_path, {"X": cells, "y": Y}))
    assert "unpickled" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arrays", "params", "error", "message"),
    [
        ({"X": X, "y": Y[:5]}, {}, FileError, r"'X' \[20, 3\] and 'y' \[5\] .* not inputs and their labels"),
        ({"X": X, "y": np.eye(20)}, {}, FileError, "not inputs and their labels"),
        ({"X": X, "y": X[:, 0]}, {}, FileError, r"Label 1 is 0\.125.*'y' of"),
        ({"X": X, "z": Y}, {}, UsageError, "not known which array .* has the labels.*It has X, z"),
        ({"X": X, "y": Y}, {"inputs": "x"}, UsageError, r"no array 'x' \(dataset.inputs\)"),
        ({"X": X, "y": Y, "X_test": X}, {}, UsageError, "has the test labels.*dataset.test_labels"),
        ({"X": X, "y": Y, "X_test": X[:1], "y_test": ["c"]}, {}, FileError, "class 'c' has test samples, but no train"),
        ({"X": X.astype(str), "y": Y}, {}, FileError, "must be real numbers.*'X' of"),
        ({"X": X, "y": Y, "g": Y[:3]}, {"groups": "g"}, FileError, "3 values for 20 samples"),
        ({"X": X, "y": Y, "w": Y}, {"weights": "w"}, FileError, "'w' of .* has texts"),
    ],
)
def test_what_cannot_be_used_is_a_sentence(tmp_path, arrays, params, error, message):
    with pytest.raises(error, match=message) as caught:
        load(write_npz(tmp_path, arrays), **params)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["d.npz", "d.mat", "d.csv"])
@pytest.mark.parametrize("content", [b"", b"no arrays", b"PK\x03\x04 no archive"])
def test_damaged_files(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError, match=rf"{name} is n"):
        load(tmp_path / name)


def test_an_array_that_was_cut_off(tmp_path):
    write_npy(tmp_path, {"X": X, "y": Y})
    (tmp_path / "X.npy").write_bytes((tmp_path / "X.npy").read_bytes()[:200])
    with pytest.raises(FfprobeError, match=r"'X' of .* cannot be read"):
        load(tmp_path)


def test_the_contract(tmp_path):
    check_plugin("arrays", data_dir=write_npz(tmp_path, {"X": X, "y": Y})).raise_for_failures()
