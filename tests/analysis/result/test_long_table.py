"""A terminal shows the first and last rows of a long table; a pipe gets the complete table."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

import ffprobe


def printed(rows: int, *, terminal: bool) -> list[str]:
    columns = [ffprobe.Column("epoch", key=True), ffprobe.Column("value")]
    result = ffprobe.Result("x", "Question?", columns, [(i, 1000 + i) for i in range(rows)], notes=["A note."])
    out = io.StringIO()
    Console(file=out, width=80, force_terminal=terminal, color_system=None).print(result.table())
    return out.getvalue().splitlines()


@pytest.mark.parametrize(("rows", "terminal"), [(60, True), (500, False)])
def test_it_is_complete(rows: int, terminal: bool) -> None:
    values = {line.split()[-1] for line in printed(rows, terminal=terminal) if line}
    assert {str(1000 + i) for i in range(rows)} <= values
    assert not any("…" in line for line in printed(rows, terminal=terminal))


def test_a_terminal_omits_the_middle_and_prints_the_number_of_rows() -> None:
    lines = printed(61, terminal=True)
    values = [line.split()[1] for line in lines if len(line.split()) == 2 and line.split()[1].isdigit()]
    assert values == [str(1000 + i) for i in [*range(20), *range(41, 61)]]
    assert "61 rows in total" in lines[-2]
