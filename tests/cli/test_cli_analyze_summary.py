"""``ffprobe analyze``: the summary, ``--all``, ``--no-cache`` and the progress."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from cli.program import ffprobe

RECORDED = Path(__file__).parents[1] / "recorded" / "trifecta-0.1.0.h5"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(RECORDED, tmp_path / "run.h5")
    return tmp_path


def test_a_summary_has_a_line_for_each_layer_and_all_has_one_for_each_epoch(folder: Path) -> None:
    brief = ffprobe("analyze", "curves", "run.h5", cwd=folder)
    long = ffprobe("analyze", "curves", "run.h5", "--all", "--csv", "c.csv", cwd=folder)
    assert (brief.code, long.code) == (0, 0), brief.err + long.err
    document = ffprobe("analyze", "curves", "run.h5", "--json", cwd=folder).json
    rows, layers = len(document["rows"]), len({row["layer"] for row in document["rows"]})
    assert rows > layers
    assert f"--all prints all {rows} rows" in brief.out and "--all" not in long.out
    assert len([line for line in brief.out.splitlines() if line[:1].isdigit() and line[1:4] == "   "]) == layers
    assert "trend" in brief.out and "trend" not in long.out
    assert "separation_hardest" in long.out.replace("\n", "_")
    with (folder / "c.csv").open() as file:
        assert len(list(csv.DictReader(file))) == rows


def test_no_cache_writes_nothing_beside_the_run(folder: Path) -> None:
    done = ffprobe("analyze", "similarity", "run.h5", "--no-cache", cwd=folder)
    assert done.code == 0, done.err
    assert [path.name for path in folder.iterdir()] == ["run.h5"]


def test_report_takes_no_cache_too(folder: Path) -> None:
    done = ffprobe("report", "run.h5", "--no-cache", "--without", "nothing", cwd=folder)
    assert "no analysis 'nothing'" in done.err
