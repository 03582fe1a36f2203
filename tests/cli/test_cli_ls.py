"""``ffprobe ls`` and ``ffprobe show DIR``: a table of runs that fits the terminal."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from analysis.runs.listed_files import begin, finished, interrupted
from cli.program import ffprobe
from rich.cells import cell_len

from ffprobe.analysis.runs.listing import ORDERS, ListedRun, list_runs
from ffprobe.cli.console import PlainConsole
from ffprobe.cli.ls import Order
from ffprobe.cli.run_table import _age, _cut, run_table
from ffprobe.cli.show import show
from ffprobe.errors import UsageError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished, interrupted and damaged runs."""
    where = tmp_path_factory.mktemp("ls")
    finished(where / "runs" / "vanilla.h5", network="tiny", test=0.5)
    finished(where / "runs" / "deep" / "trifecta_a-very-long-name-of-a-sweep_seed-1.h5", preset="trifecta", seed=1,
             network="tiny", test=0.9)  # fmt: skip
    interrupted(where / "runs" / "stopped.h5", network="tiny")
    (where / "runs" / "bad.h5").write_text("hello")
    os.utime(where / "runs" / "bad.h5", (0, 0))  # an age that is the same in every call
    return where


def lines(runs: list[ListedRun], width: int | None, sort: str = "", where: Path | None = None) -> list[str]:
    console = PlainConsole()
    console.file, console.width = io.StringIO(), width or 1000
    console.print(run_table(runs, where, width, sort))
    return console.file.getvalue().splitlines()


def test_a_table_on_stdout_and_json(folder: Path) -> None:
    done = ffprobe("ls", "runs", "--sort", "accuracy", cwd=folder)
    assert (done.code, done.err) == (0, "")
    assert [line.split()[0] for line in done.out.splitlines()[1:5]] == [
        "deep/trifecta_a…-long-name-of-a-sweep_seed-1.h5",
        "stopped.h5.partial",
        "vanilla.h5",
        "bad.h5",
    ]
    assert "4 runs: 2 finished, 1 damaged, 1 interrupted." in done.out
    assert "All runs: tiny." in done.out
    assert "bad.h5: This is not an HDF5 file" in done.out
    document = ffprobe("ls", "runs", "--json", "--reverse", cwd=folder).json
    assert [run["state"] for run in document["runs"]] == ["finished", "interrupted", "finished", "damaged"]
    assert (document["runs"][0]["accuracy"], document["runs"][0]["accuracy_of"]) == (50.0, "test")


@pytest.mark.parametrize(
    ("width", "heads"),
    [
        (30, "run state"),
        (50, "run state accuracy %"),
        (80, "run state plugins accuracy % epochs"),
        (140, "run state plugins seed accuracy % epochs age size"),
    ],
)
def test_a_narrow_terminal_lacks_columns_and_wraps_no_row(folder: Path, width: int, heads: str) -> None:
    runs = list_runs(folder / "runs")
    table = lines(runs, width, where=folder / "runs")
    assert " ".join(table[0].split()) == heads
    assert [line.split()[1] for line in table[1:5]] == ["damaged", "finished", "interrupted", "finished"]
    assert max(map(cell_len, table)) <= width
    assert table[2].split()[0].endswith("seed-1.h5" if width > 30 else "h5")
    assert "size" in lines(runs, 50, sort="size")[0]


def test_a_pipe_gets_whole_lines(folder: Path) -> None:
    done = ffprobe("ls", "runs", cwd=folder, env={"COLUMNS": ""})
    assert "trifecta_a-very-long-name-of-a-sweep_seed-1.h5" in done.out
    assert done.out.splitlines()[0].split()[-1] == "size"


def test_names_from_files_are_one_line(tmp_path: Path) -> None:
    path = finished(tmp_path / "a\n\x1b[31m日本.h5", network="[red]\nx")
    assert lines(list_runs(path), 200, where=tmp_path)[1].startswith(r"a\n\x1b[31m日本.h5  finished  digits, [red]\nx")


def test_a_running_run_and_what_it_shows(tmp_path: Path) -> None:
    with begin(tmp_path / "a.h5"):
        done = ffprobe("ls", cwd=tmp_path)
        assert done.out.splitlines()[1].split()[:2] == ["a.h5.partial", "running"]
    assert "50.00 val." in done.out
    assert "3/4" in done.out


def test_an_empty_directory_is_a_sentence(tmp_path: Path) -> None:
    done = ffprobe("ls", cwd=tmp_path)
    assert (done.code, done.out, done.err) == (0, "", "There is no run in or below the current directory.\n")
    assert ffprobe("ls", "--json", cwd=tmp_path).json == {"runs": []}
    assert ffprobe("ls", "nowhere", cwd=tmp_path).code == 4
    assert ffprobe("ls", "--sort", "colour", cwd=tmp_path).code == 2


def test_show_of_a_directory(folder: Path, tmp_path: Path) -> None:
    done = ffprobe("show", "runs", cwd=folder)
    assert done.out == ffprobe("ls", "runs", cwd=folder).out
    assert "Show one: ffprobe show runs/deep/trifecta_a-very" in done.err
    assert len(ffprobe("show", "runs", "--json", cwd=folder).json["runs"]) == 4
    one = ffprobe("show", "runs/deep", cwd=folder)
    assert one.out.startswith("runs/deep/trifecta_a-very")
    assert "finished, 3 of 4 epochs" in one.out
    empty = ffprobe("show", ".", cwd=tmp_path)
    assert empty.code == 4
    assert "There is no run file in this directory." in empty.err
    still = ffprobe("show", "runs", "--watch", cwd=folder)
    assert still.code == 2
    assert "No run is in progress in this directory;" in still.err


def test_orders_are_those_of_the_function() -> None:
    assert [order.value for order in Order] == list(ORDERS)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (150, "2 min"), (7200, "2 h"), (3 * 86400, "3 d"), (800 * 86400, "2 y")],
)
def test_ages(seconds: float, text: str) -> None:
    assert _age(seconds) == text
    assert _age(float("nan")) == ""


def test_long_names_lose_their_middle() -> None:
    assert _cut("seed-1.h5", 9) == "seed-1.h5"
    assert _cut("symba_batchnorm_seed-1.h5", 16) == "symba…_seed-1.h5"
    assert cell_len(_cut("日本語の長い名前.h5", 9)) <= 9
    assert _cut("abc", 1) == "…"


def test_show_watches_the_only_run_in_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished(tmp_path / "a.h5")
    watched: list[Path] = []
    monkeypatch.setattr("ffprobe.cli.watch.watch", lambda path, json: watched.append(path))
    with begin(tmp_path / "b.h5"):
        show(tmp_path, watch=True)
        assert watched == [tmp_path / "b.h5.partial"]
        with begin(tmp_path / "c.h5"), pytest.raises(UsageError, match="2 runs are in progress"):
            show(tmp_path, watch=True)
