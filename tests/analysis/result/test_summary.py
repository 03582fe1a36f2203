"""The summary fits on one screen at 80 columns; the long table, JSON and CSV keep everything."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from ffprobe.analysis.result.claim import Claim
from ffprobe.analysis.result.column import Column
from ffprobe.analysis.result.result import Result

LAYERS, EPOCHS = 12, 20
GROWING = [
    Column("epoch", "epoch", "number of completed epochs", key=True),
    Column("layer", "", "layer number", key=True),
    Column("accuracy", "%", "accuracy on validation images", ".2f"),
    *(Column(f"quantity_{name}", "1", f"the quantity {name}", ".3f") for name in "abc"),
    Column("rest", "1", "a detail", detail=True),
]
CLAIMS = [Claim(f"Paper {i}", "it rises a lot.", "it does.", agrees) for i, agrees in enumerate((True, False, None))]


def growing() -> Result:
    rows = [
        (e, str(i), 50.0 + e + i, e / 3, e / 7, 1.0, 0.5) for e in range(1, EPOCHS + 1) for i in range(1, LAYERS + 1)
    ]
    return Result("demo", "Does it grow?", GROWING, rows, notes=["A note."], claims=CLAIMS)


def printed(table: object, width: int = 80, *, colour: bool = False) -> str:
    console = Console(
        width=width, file=io.StringIO(), force_terminal=colour, color_system="standard" if colour else None
    )
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [50, 80, 140])
def test_it_fits(width: int) -> None:
    lines = printed(growing().summary(), width).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= 40
    assert len([line for line in lines if re.match(r"\d+ ", line)]) == LAYERS  # one table
    assert any(re.match(r"12 +63\.00 .*82\.00", line) for line in lines)


def test_it_names_what_it_leaves_out() -> None:
    text = " ".join(printed(growing().summary()).split())
    assert "--all prints all 240 rows, and quantity_b, quantity_c, rest." in text
    assert "a detail" not in text


def test_the_long_table_has_all_rows_and_columns() -> None:
    text = printed(growing().table())
    assert len(re.findall(r"^ *20 +12 ", text, re.MULTILINE)) >= 1
    assert "detail" in text


def test_value_and_interval_are_one_cell() -> None:
    columns = [
        Column("layer", key=True),
        Column("gain", "points", "gain of the layer", "+.1f"),
        Column("gain_low", "points", "lower end of its 95 % interval", "+.1f", low_of="gain"),
        Column("gain_high", "points", "upper end of its 95 % interval", "+.1f", high_of="gain"),
    ]
    result = Result("demo", "How much?", columns, [("1", 1.0, 0.5, 1.5), ("2", 2.0, None, None)])
    text = printed(result.summary())
    assert "+1.0 [+0.5, +1.5]" in text
    assert "gain  gain of the layer [its 95 % interval] (points)" in text
    assert "low" not in text
    assert "+1.0 [+0.5, +1.5]" in result._repr_html_()
    assert list(result.to_dict()["rows"][0]) == ["layer", "gain", "gain_low", "gain_high"]


def test_an_interval_with_one_end_stays_a_column() -> None:
    columns = [Column("gain"), Column("bound", low_of="gain")]
    assert "bound" in printed(Result("demo", "How much?", columns, [(1.0, 0.5)]).summary())


def test_claims_have_a_mark_and_a_colour() -> None:
    text = printed(growing().summary(), 140, colour=True)
    for mark, code, verdict in (("✓", 32, "agrees"), ("✗", 31, "differs"), ("?", 33, "inconclusive")):
        assert f"\x1b[1;{code}m{mark}" in text
        assert f"\x1b[1;{code}m{verdict}" in text


def test_the_legend_explains_shown_columns_with_a_hanging_indent() -> None:
    columns = [Column("layer", "", "layer number", key=True), Column("x", "s", "very " * 30 + "long"), Column("y")]
    lines = printed(Result("demo", "Q?", columns, [("1", 1, 2)]).summary()).splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("x  very"))
    assert lines[first + 1].startswith("   very")
    assert not any(line.startswith(("layer  layer", "y ")) for line in lines[3:])


def test_of_one_column_for_each_layer_the_first_is_explained() -> None:
    columns = [Column(f"layer_{i}", "1", f"similarity to layer {i}") for i in range(1, 5)]
    text = printed(Result("demo", "Q?", columns, [(1, 2, 3, 4)]).summary())
    assert "similarity to layer 1" in text and "similarity to layer 2" not in text


def test_a_notebook_has_the_summary_and_the_long_table_collapsed() -> None:
    html = growing()._repr_html_()
    summary, long = html.split("<details>")
    assert summary.count("<tr>") == 1 + LAYERS
    assert "accuracy (%) best" in summary and "▁" in summary
    assert "All 240 rows and 7 columns" in long


def test_names_from_files_are_not_markup() -> None:
    bad = "[red]\x1b[31m"
    result = Result(bad, bad, [Column("epoch", key=True), Column("layer", key=True), Column("x", "", bad)],
                    [(1, bad, 1.0), (2, bad, 2.0)], notes=[bad], claims=[Claim(bad, bad, bad, True)])  # fmt: skip
    text = printed(result.summary(), 200)
    assert "\x1b" not in text and text.count("[red]") >= 5
