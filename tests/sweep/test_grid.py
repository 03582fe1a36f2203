"""Reading a grid, and the errors that name the table and the key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ffprobe.errors import FileError, UsageError
from ffprobe.sweep.grid import read_grid, toml_value


def grid(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "grid.toml"
    path.write_text(text)
    return path


def test_cells_are_every_combination_and_the_last_axis_changes_fastest(tmp_path: Path) -> None:
    text = '[axes]\nseed = [0, 1]\n[axes.set-of-plugins]\nnone = {}\nboth = {plugin = ["olu", "symba"]}\n'
    read = read_grid(grid(tmp_path, text))
    names = [tuple(point.name for point in cell) for cell in read.cells()]
    assert names == [("seed=0", "none"), ("seed=0", "both"), ("seed=1", "none"), ("seed=1", "both")]
    assert read.axes["set-of-plugins"][1].options == {"plugin": ["olu", "symba"]}
    assert [point.location for axis in read.axes.values() for point in axis] == [
        "[axes] seed, point 1",
        "[axes] seed, point 2",
        "[axes.set-of-plugins] none",
        "[axes.set-of-plugins] both",
    ]


def test_settings_may_be_nested_dotted_or_in_a_table(tmp_path: Path) -> None:
    text = """
    [each]
    network.width = 0.25
    "training.max_images" = 5
    set = {probes = [], "training.crop_padding" = 2}
    network.name = "tiny"
    loss = "symba"
    batch-size = 3
    [axes]
    loss.alpha = [2, 4.5]
    "training.min_lr_fraction" = [0.0]
    network = ["tff-s", "tff-d"]
    plugin = ["olu", ["a", "b:c=1"], []]
    """
    read = read_grid(grid(tmp_path, text))
    assert read.each.options["set"] == {
        "network.width": 0.25,
        "network.name": "tiny",
        "training.max_images": 5,
        "probes": [],
        "training.crop_padding": 2,
        "loss": "symba",
    }
    assert read.each.options["batch_size"] == 3
    assert {axis: [point.name for point in points] for axis, points in read.axes.items()} == {
        "loss.alpha": ["alpha=2", "alpha=4.5"],
        "training.min_lr_fraction": ["min_lr_fraction=0.0"],
        "network": ["tff-s", "tff-d"],
        "plugin": ["olu", "a+b:c=1", "none"],
    }
    assert read.axes["loss.alpha"][1].options == {"set": {"loss.alpha": 4.5}}


def test_typed_words_lie_over_what_every_run_has(tmp_path: Path) -> None:
    text = "[each]\nepochs = 100\nnetwork.width = 1.0\ntraining.crop_padding = 2\n[axes]\nseed = [0]\n"
    path = grid(tmp_path, text)
    words = ["epochs=5", "network.width=0.25", "data-dir=x", 'plugin=["olu"]']
    assert read_grid(path, words).each.options == {
        "epochs": 5,
        "data_dir": "x",
        "plugin": ["olu"],
        "set": {"network.width": 0.25, "training.crop_padding": 2},
    }
    with pytest.raises(UsageError, match="no option or setting 'epoch'") as caught:
        read_grid(path, ["epoch=5"])
    assert caught.value.where == "--set epoch"


def test_an_environment_variable_is_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = grid(tmp_path, '[each]\ndata-dir = "${PICTURES}/x"\n[axes]\nseed = [0]\n')
    monkeypatch.setenv("PICTURES", "/somewhere")
    assert read_grid(path).each.options["data_dir"] == "/somewhere/x"
    monkeypatch.delenv("PICTURES")
    with pytest.raises(UsageError, match="PICTURES is not set") as caught:
        read_grid(path)
    assert caught.value.where.endswith("grid.toml, in [each] data-dir")


@pytest.mark.parametrize(
    ("text", "sentence", "location"),
    [
        ("[axis]\nseed = [0]\n", "has no 'axis'", "axis"),
        ("[each]\nepochs = 3\n", "has no axis", ""),
        ("[axes]\nseed = []\n", "'seed' is empty", "[axes] seed"),
        ("[axes.loss]\n", "'loss' is empty", "[axes] loss"),
        ("[axes]\nseed = 3\n", "neither a list of values nor a table", "[axes] seed"),
        ("[axes]\ncolour = [1]\n", "not named after an option or setting", "[axes] colour"),
        ("[each]\nepoch = 3\n[axes]\nseed = [0]\n", "no option or setting 'epoch'", "[each] epoch"),
        ("[each]\nepochs = 'x'\n[axes]\nseed = [0]\n", "epochs cannot be 'x'", "[each] epochs"),
        ("[each]\ndownload = 1\n[axes]\nseed = [0]\n", "download cannot be 1", "[each] download"),
        ("[axes]\nseed = [0, true]\n", "seed cannot be True", "[axes] seed, point 2"),
        ("[axes.p]\na = {}\nb = {epoch = 3}\n", "no option or setting 'epoch'", "[axes.p] b.epoch"),
        ("[axes.p]\na = {}\nb.loss = {}\nb.seed = 'x'\n", "seed cannot be 'x'", "[axes.p] b.seed"),
        ("[each]\nplugin = [1]\n[axes]\nseed = [0]\n", "plugin must be a name", "[each] plugin"),
        ("[each]\nset = ['a=1']\n[axes]\nseed = [0]\n", "set must be a table", "[each] set"),
        ("[each]\nresume = true\n[axes]\nseed = [0]\n", "cannot set 'resume'", "[each] resume"),
        ("each = 3\n[axes]\nseed = [0]\n", "must be a table of options", "[each]"),
        ("out = 3\n[axes]\nseed = [0]\n", "out must be the name", "out"),
    ],
)
def test_refusals(tmp_path: Path, text: str, sentence: str, location: str) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        read_grid(grid(tmp_path, text))
    assert caught.value.where.endswith(f"grid.toml, in {location}" if location else "grid.toml")
    assert caught.value.hint


def test_what_is_no_toml_or_not_there_is_a_file_error(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="not TOML"):
        read_grid(grid(tmp_path, "[axes\n"))
    with pytest.raises(FileError, match="cannot be read"):
        read_grid(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("value", [True, 3, 0.25, "tiny", "3", "true", "a b", [1, "x"], [], 1e-05])
def test_a_value_is_read_back_as_it_was(value: object) -> None:
    from ffprobe.config.parsing import parse_value

    assert parse_value(toml_value(value)) == value


PART = '[axes]\nseed = [0, 1, 2]\nloss.alpha = [2, 4]\n[axes.data]\na = {dataset = "digits"}\nb = {dataset = "mnist"}\n'


def test_a_part_of_a_grid_keeps_names_and_order(tmp_path: Path) -> None:
    whole = read_grid(grid(tmp_path, PART))
    part = whole.only(["seed=2,0", "data=b", "loss.alpha=alpha=4"])
    names = [tuple(point.name for point in cell) for cell in whole.cells()]
    left = [tuple(point.name for point in cell) for cell in part.cells()]
    assert left == [name for name in names if name[1] == "alpha=4" and name[2] == "b" and name[0] != "seed=1"]
    assert len(left) == 2 and list(part.axes) == list(whole.axes)
    assert whole.only(["seed=0", "seed=1"]).axes["seed"] == whole.axes["seed"][:2]
    assert whole.only([]).axes == whole.axes


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("sed=0", "no axis 'sed'"),
        ("seed", "no axis 'seed'"),
        ("seed=3", "no point '3'.*0, 1, 2"),
        ("data=", "no point ''"),
    ],
)
def test_a_part_that_is_not_there_is_refused(tmp_path: Path, word: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_grid(grid(tmp_path, PART)).only([word])
    assert re.search(sentence, f"{caught.value} {caught.value.hint}")
    assert caught.value.where == f"--only {word}"
