"""A long table on a terminal keeps its ends; through a pipe it is whole."""

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
def test_it_is_whole(rows: int, terminal: bool) -> None:
    values = {line.split()[-1] for line in printed(rows, terminal=terminal) if line}
    assert {str(1000 + i) for i in range(rows)} <= values
    assert not any("…" in line for line in printed(rows, terminal=terminal))


def test_the_middle_is_left_out_on_a_terminal_and_said_so() -> None:
    lines = printed(61, terminal=True)
    values = [line.split()[1] for line in lines if len(line.split()) == 2 and line.split()[1].isdigit()]
    assert values == [str(1000 + i) for i in [*range(20), *range(41, 61)]]
    assert "61 rows in all" in lines[-2]
