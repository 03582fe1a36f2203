"""The summary of a long table has its first and last rows; the table has all of them."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

import ffprobe


def printed(rows: int, *, summary: bool, terminal: bool = True) -> list[str]:
    columns = [ffprobe.Column("image", key=True), ffprobe.Column("value")]
    result = ffprobe.Result("x", "Question?", columns, [(i, 1000 + i) for i in range(rows)], notes=["A note."])
    out = io.StringIO()
    table = result.summary() if summary else result.table()
    Console(file=out, width=80, force_terminal=terminal, color_system=None).print(table)
    return out.getvalue().splitlines()


@pytest.mark.parametrize(("rows", "summary", "terminal"), [(30, True, True), (500, False, True), (500, False, False)])
def test_it_is_complete(rows: int, summary: bool, terminal: bool) -> None:
    values = {line.split()[-1] for line in printed(rows, summary=summary, terminal=terminal) if line}
    assert {str(1000 + i) for i in range(rows)} <= values
    assert not any("…" in line for line in printed(rows, summary=summary, terminal=terminal))


@pytest.mark.parametrize("terminal", [True, False])
def test_a_summary_omits_the_middle_and_prints_the_number_of_rows(terminal: bool) -> None:
    lines = printed(61, summary=True, terminal=terminal)
    values = [line.split()[1] for line in lines if len(line.split()) == 2 and line.split()[1].isdigit()]
    assert values == [str(1000 + i) for i in [*range(12), *range(49, 61)]]
    assert "--all prints all 61 rows" in lines[-2]
