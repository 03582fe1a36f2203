"""How an error looks on a terminal of any width, and in a log."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest
from rich.console import Console

from ffprobe.cli import console as consoles
from ffprobe.cli.console import print_error
from ffprobe.errors import UsageError

ERROR = UsageError(
    "The files of the data set [MNIST] are not in /some/rather/long/folder/with/a/name/MNIST/raw, nor elsewhere.",
    where="plugin mnist of ffprobe-nn",
    hint="Fetch them with `--download`, or name a folder that holds them with `--data-dir DIR`, as you like.",
)


def shown(width: int, monkeypatch: pytest.MonkeyPatch, *, terminal: bool = True) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, color_system=None, highlight=False)
    monkeypatch.setattr(consoles, "stderr", lambda: console)
    monkeypatch.delenv("RANK", raising=False)
    print_error(ERROR)
    return file.getvalue()


@pytest.fixture(params=[60, 80, 140])
def lines(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    width = request.param
    found = [line.rstrip() for line in shown(width, monkeypatch).splitlines()]
    assert max(map(len, found)) <= width
    return found


def test_no_word_is_broken_and_none_is_lost(lines: list[str]) -> None:
    assert " ".join(" ".join(lines).split()) == f"error: {ERROR.what} {ERROR.where} {ERROR.hint}"


def test_what_goes_on_below_its_beginning_and_the_rest_is_indented_less(lines: list[str]) -> None:
    assert lines[0].startswith("error: The files")
    where = lines.index(f"  {ERROR.where}")
    assert all(line.startswith(" " * 7) and line[7] != " " for line in lines[1:where])
    assert all(line.startswith("  ") and line[2] != " " for line in lines[where:])


def test_lines_are_as_long_as_fits(
    lines: list[str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    width = request.node.callspec.params["lines"]
    where = lines.index(f"  {ERROR.where}")
    for part in (lines[:where], lines[where + 1 :]):
        for one, two in pairwise(part):
            assert len(one) + 1 + len(two.split()[0]) > width


def test_a_log_has_each_sentence_on_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(60, monkeypatch, terminal=False)
    assert text.splitlines() == [f"error: {ERROR.what}", f"  {ERROR.where}", f"  {ERROR.hint}"]
