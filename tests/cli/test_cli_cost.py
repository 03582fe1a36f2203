"""``ffprobe cost`` and ``ffprobe bench cost``: short forms that answer like the analysis and the library."""

from __future__ import annotations

from pathlib import Path

import pytest
from program import ffprobe

from ffprobe.testing import toy_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_run("cost", out=tmp_path_factory.mktemp("cost") / "run.h5").path


def test_cost_is_short_for_the_analysis(run: Path) -> None:
    short, long = (
        ffprobe("cost", run.name, "--json", cwd=run.parent),
        ffprobe("analyze", "cost", run.name, "--json", cwd=run.parent),
    )
    assert short.code == 0
    assert short.json == long.json
    target = ffprobe("cost", run.name, "--accuracy", "100", cwd=run.parent)
    assert "The target was not reached" in target.out


def test_files_of_cost(run: Path, tmp_path: Path) -> None:
    done = ffprobe("cost", str(run), "--csv", "table.csv", "--plot", "cost.png", cwd=tmp_path)
    assert done.code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"table.csv", "cost.csv", "cost.png"}
    assert (tmp_path / "table.csv").read_text().startswith("best,epochs,time")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--shape", "3x0x2"], 2, "is no shape"),
        (["--preset", "nobody"], 2, "nobody"),
        (["--plugin", "nobody"], 3, "nobody"),
    ],
)
def test_mistakes_of_bench_cost_are_told_before_anything_is_measured(
    words: list[str], code: int, message: str, tmp_path: Path
) -> None:
    done = ffprobe("bench", "cost", *words, cwd=tmp_path)
    assert done.code == code
    assert message in done.err


@pytest.mark.slow
def test_bench_cost_measures_four_ways(tmp_path: Path) -> None:
    words = ["--preset", "mono-forward", "-p", "tiny", "--shape", "1x8x8", "-b", "16", "--steps", "1"]
    done = ffprobe("bench", "cost", *words, "--json", "--csv", "cost.csv", cwd=tmp_path)
    assert [row["way"] for row in done.json["rows"]] == [
        "as configured",
        "backprop",
        "backprop, checkpointed",
        "backprop, accumulated",
    ]
    assert len((tmp_path / "cost.csv").read_text().splitlines()) == 5
