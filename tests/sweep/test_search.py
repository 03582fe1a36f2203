"""Random search: what a space may contain, and what is drawn from it."""

from __future__ import annotations

import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ffprobe.errors import UsageError
from ffprobe.sweep.grid import read_grid
from ffprobe.sweep.search import Range, draws, read_range

RATE = {"low": 1e-4, "high": 1e-1, "log": True}


def drawn(value: Any, count: int = 2000) -> list[Any]:
    found, chance = read_range(value), random.Random(0)
    return [found.draw(chance) for _ in range(count)]


def test_a_logarithmic_range_has_as_many_values_in_every_decade() -> None:
    values = drawn(RATE)
    assert min(values) >= 1e-4 and max(values) <= 1e-1
    decades = Counter(math.floor(math.log10(value)) for value in values if value < 1e-1)
    assert set(decades) == {-4, -3, -2} and min(decades.values()) > 600
    assert all(float(f"{value:.4g}") == value for value in values)


def test_whole_numbers_steps_and_choices() -> None:
    assert set(drawn({"low": 1, "high": 3})) == {1, 2, 3}
    assert set(drawn({"low": 5, "high": 20, "step": 5})) == {5, 10, 15, 20}
    assert set(drawn({"low": 0.1, "high": 0.5, "step": 0.2})) == {0.1, 0.3, 0.5}
    assert set(drawn(["olu", "greedy"])) == set(drawn({"values": ["olu", "greedy"]})) == {"olu", "greedy"}
    assert all(isinstance(value, int) for value in drawn({"low": 1, "high": 9}))
    assert all(isinstance(value, float) for value in drawn({"low": 1.0, "high": 9}))


def test_another_setting_and_more_trials_change_no_value() -> None:
    few = draws({"a": Range((), 0.0, 1.0)}, 3, seed=5)
    more = draws({"b": Range((1, 2)), "a": Range((), 0.0, 1.0)}, 6, seed=5)
    assert [trial["a"] for trial in more[:3]] == [trial["a"] for trial in few]
    assert draws({"a": Range((), 0.0, 1.0)}, 3, seed=6) != few


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ([], "no value"),
        (3, "a list of values"),
        ({"low": 1}, "low, high"),
        ({"low": 1, "high": 2, "base": 3}, "low, high"),
        ({"low": 2, "high": 2}, "below"),
        ({"low": 0, "high": 1, "log": True}, "above 0"),
        ({"low": 1, "high": 9, "log": True, "step": 2}, "not logarithmic"),
        ({"low": 1, "high": 9, "step": -1}, "positive"),
        ({"low": "a", "high": 9}, "numbers"),
        ({"low": True, "high": 9}, "numbers"),
        ({"low": 1, "high": math.inf}, "numbers"),
        ({"low": 1, "high": 9, "log": "yes"}, "true or false"),
    ],
)
def test_what_is_no_range(value: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_range(value)


def grid(tmp_path: Path, text: str) -> Any:
    (tmp_path / "g.toml").write_text(text)
    return read_grid(tmp_path / "g.toml")


SEARCH = """
[search]
trials = 12
[search.space]
training.learning_rate = {low = 1e-4, high = 1e-1, log = true}
batch_size = [32, 64]
"""


def test_the_trials_are_an_axis_beside_the_others(tmp_path: Path) -> None:
    read = grid(tmp_path, f"{SEARCH}[axes]\nseed = [0, 1]\n")
    assert read.size == 24 and read.search is not None and list(read.axes) == ["trial", "seed"]
    first = read.axes["trial"][0]
    assert first.name == "trial-01" and first.options["batch_size"] in (32, 64)
    assert 1e-4 <= first.options["set"]["training.learning_rate"] <= 1e-1
    assert read.each.options["set"]["training.test"] == "never"  # validation chooses
    assert grid(tmp_path, SEARCH).size == 12


def test_the_test_set_is_read_only_if_the_file_says_so(tmp_path: Path) -> None:
    read = grid(tmp_path, f'[each]\ntraining.test = "end"\n{SEARCH}')
    assert read.each.options["set"]["training.test"] == "end"


@pytest.mark.parametrize(
    ("old", "new", "sentence", "where"),
    [
        ("trials = 12", "", "number of trials", "[search]"),
        ("trials = 12", "trials = 0", "number of trials", "[search]"),
        ("trials = 12", 'trials = 12\nmethod = "grid"', "method cannot be 'grid'", "[search] method"),
        ("trials = 12", 'trials = 12\npruner = "none!"', "pruner cannot be 'none!'", "[search] pruner"),
        ("trials = 12", "trials = 12\ntrails = 3", "'trails'", "[search]"),
        ("batch_size", "batch_sise", "'batch_sise'", "[search.space] batch_sise"),
        ("[32, 64]", "{low = 3}", "low, high", "[search.space] batch_size"),
        ("[search]", "[axes]\ntrial = {a = {}}\n[search]", "axis 'trial'", "[axes] trial"),
    ],
)
def test_refusals(tmp_path: Path, old: str, new: str, sentence: str, where: str) -> None:
    with pytest.raises(UsageError) as caught:
        grid(tmp_path, SEARCH.replace(old, new, 1))
    assert sentence in str(caught.value) and where in caught.value.where


def test_a_search_without_a_space(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a space"):
        grid(tmp_path, "[search]\ntrials = 3\n")
