"""A table with a row for each epoch and layer becomes one with a row for each layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ffprobe.analysis.result.column import Column
from ffprobe.analysis.result.fold import fold

EPOCH, LAYER = Column("epoch", key=True), Column("layer", key=True)
ROWS = [(1, "a", 2.0), (1, "b", 9.0), (2, "a", 4.0), (2, "b", 7.0), (3, "a", 3.0), (3, "b", 5.0)]


def folded(columns: Sequence[Column], rows: Sequence[tuple[Any, ...]]) -> dict[str, Mapping[str, Sequence[str]]]:
    shown = fold(columns, rows)
    assert shown is not None
    return {column.column.name: column.parts for column in shown}


@pytest.mark.parametrize("rows", [ROWS, ROWS[::-1]])  # the order of the rows does not matter
def test_first_best_last_and_trend_of_each_layer(rows: list[tuple[Any, ...]]) -> None:
    table = folded([EPOCH, LAYER, Column("score", better="higher")], rows)
    a, b = table["layer"][""].index("a"), table["layer"][""].index("b")
    picked = {name: (cells[a], cells[b]) for name, cells in table["score"].items()}
    assert picked == {"first": ("2", "9"), "best": ("4", "9"), "last": ("3", "5"), "trend": ("▁█▅", "█▅▁")}
    assert "epoch" not in table


@pytest.mark.parametrize(
    ("column", "best"),
    [
        (Column("score"), None),
        (Column("score", better="lower"), "2"),
        (Column("test_accuracy"), "4"),
        (Column("loss"), "2"),
        (Column("loss", better="higher"), "4"),
    ],
)
def test_what_is_best(column: Column, best: str | None) -> None:
    parts = folded([EPOCH, LAYER, column], [row for row in ROWS if row[1] == "a"])[column.name]
    assert (parts["best"][0] if "best" in parts else None) == best


def test_the_last_value_has_its_spread_and_unmeasured_epochs_are_dots() -> None:
    columns = [EPOCH, LAYER, Column("x"), Column("x_se", spread_of="x")]
    rows = [(1, "a", 1.0, 0.5), (2, "a", 2.0, 0.25), (3, "a", math.nan, math.nan)]
    parts = folded(columns, rows)["x"]
    assert (parts["first"], parts["last"], parts["trend"]) == (["1"], ["2 ± 0.25"], ["▁█·"])


def test_values_of_one_epoch_are_plain_and_empty_quantities_are_left_out() -> None:
    columns = [EPOCH, LAYER, Column("end"), Column("never"), Column("word")]
    table = folded(columns, [(1, "a", None, None, "x"), (2, "a", 5, math.nan, "y")])
    assert table == {"layer": {"": ["a"]}, "end": {"": ["5"]}, "word": {"": ["y"]}}


@pytest.mark.parametrize(
    ("time", "is_folded"),
    [
        (Column("step", key=True), True),
        (Column("epoch"), False),  # a measurement, such as the best epoch
        (Column("minute", key=True, over=True), True),
        (Column("epoch", key=True, over=False), False),
    ],
)
def test_what_is_a_time_axis(time: Column, is_folded: bool) -> None:
    assert (fold([time, LAYER, Column("x")], ROWS) is not None) == is_folded


def test_nothing_is_folded_if_each_layer_has_one_epoch() -> None:
    assert fold([EPOCH, LAYER, Column("x")], ROWS[:2]) is None


def test_runs_stay_apart() -> None:
    rows = [(run, *row) for run in ("r", "s") for row in ROWS]
    table = folded([Column("run", key=True), EPOCH, LAYER, Column("x")], rows)
    assert list(zip(table["run"][""], table["layer"][""], strict=True)) == [
        ("r", "a"), ("r", "b"), ("s", "a"), ("s", "b"),
    ]  # fmt: skip
