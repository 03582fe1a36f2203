"""``ffprobe compare``: a directory in, a table, a page, a LaTeX table out."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from cli.program import ffprobe
from toy import toy_config

from ffprobe.cli.compare import _keys
from ffprobe.cli.opened import run_files
from ffprobe.errors import FileError
from ffprobe.plugin.discovery import installed
from ffprobe.plugin.registry import Registry
from ffprobe.training.session import Session


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds with two schedulers, one in a folder of its own, and an unfinished run."""
    where = tmp_path_factory.mktemp("compare")
    (where / "runs" / "olu").mkdir(parents=True)
    for seed in (0, 1):
        for scheduler, place in (("greedy", "runs"), ("olu", "runs/olu")):
            registry = Registry()
            config = toy_config(registry, scheduler, seed=seed, probes=[], training={"epochs": 1})
            Session.start(config, registry, where / place / f"{scheduler}-{seed}.h5").run()
    shutil.copy(where / "runs" / "greedy-0.h5", where / "runs" / "left.h5.partial")
    return where


def test_a_directory_is_compared(folder: Path) -> None:
    words = ["compare", "runs", "--csv", "t.csv", "--latex", "t.tex", "--html", "t.html", "--plot", "t.png", "--json"]
    done = ffprobe(*words, cwd=folder)
    assert done.code == 0, done.err
    assert [row["n"] for row in done.json["rows"]] == [2, 2]
    assert len(done.json["runs"]) == 4
    assert "skipped 1 unfinished run." in done.err
    with (folder / "t.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["test"]) for row in rows] == [row["test"] for row in done.json["rows"]]
    assert (folder / "t.png").stat().st_size > 1000
    page = (folder / "t.html").read_text()
    assert "<h1>4 runs compared</h1>" in page
    assert f"{done.json['rows'][0]['test']:.2f}" in page
    tex = (folder / "t.tex").read_text()
    assert rf"{done.json['rows'][0]['test']:.2f} $\pm$ {done.json['rows'][0]['test_sd']:.2f}" in tex


def test_other_settings_that_differ_are_listed(folder: Path, tmp_path: Path) -> None:
    registry = Registry()
    config = toy_config(registry, "greedy", seed=2, probes=[], training={"epochs": 2})
    Session.start(config, registry, tmp_path / "longer.h5").run()
    done = ffprobe("compare", str(folder / "runs"), str(tmp_path), "--by", "plugins,dataset", cwd=tmp_path)
    assert done.code == 0, done.err
    output = " ".join(done.out.split())
    assert "training.epochs differs within" in output
    by_loss = ffprobe("compare", str(folder / "runs"), "--by", "loss", "--json", cwd=tmp_path)
    assert [row["n"] for row in by_loss.json["rows"]] == [2]


def test_a_directory_without_runs_and_two_losses(folder: Path, tmp_path: Path) -> None:
    done = ffprobe("compare", str(tmp_path), cwd=tmp_path)
    assert done.code == 4
    assert "no finished run file" in done.err
    grid = ffprobe("compare", "runs", "--layout", "losses", "--json", cwd=folder)
    assert [column["name"] for column in grid.json["columns"]][2:] == [
        "vanilla-ff test",
        "vanilla-ff test_sd",
    ]
    assert ffprobe("compare", "runs", "--layout", "rows", cwd=folder).code == 2
    assert ffprobe("compare", "runs", "--baseline", "nobody", cwd=folder).code == 2


def test_each_file_once_and_unfinished_ones_only_by_name(folder: Path) -> None:
    runs = folder / "runs"
    found = run_files([runs / "greedy-1.h5", runs, runs / "olu"])
    assert [path.name for path in found] == ["greedy-1.h5", "greedy-0.h5", "olu-0.h5", "olu-1.h5"]
    assert run_files([runs / "left.h5.partial"]) == [runs / "left.h5.partial"]
    empty = folder / "empty"
    empty.mkdir()
    with pytest.raises(FileError, match="no finished run file"):
        run_files([runs, empty])


def test_analyze_and_report_take_the_directory(folder: Path) -> None:
    done = ffprobe("analyze", "layers", "runs", "--json", cwd=folder)
    assert done.code == 0, done.err
    labels = [run["label"] for run in done.json["extra"]["runs"]]
    assert labels == ["greedy-0", "greedy-1", "olu-0", "olu-1"]
    assert "runs: skipped 1 unfinished run." in done.err
    names = {offer.name for plugin in installed() for offer in plugin.offers if offer.kind == "probe"}
    left_out = [word for name in sorted(names - {"compare"}) for word in ("--without", name)]
    page = ffprobe("report", "runs", "--html", "r.html", "--json", *left_out, cwd=folder)
    assert page.code == 0, page.err
    assert len(page.json["runs"]) == 4
    assert "runs: skipped 1 unfinished run." in page.err
    by_name = ffprobe("analyze", "layers", "runs/left.h5.partial", "runs/greedy-1.h5", "--json", cwd=folder)
    assert [run["label"] for run in by_name.json["extra"]["runs"]] == ["left", "greedy-1"]


@pytest.mark.parametrize("words", [["analyze", "layers"], ["report"], ["compare"]])
def test_a_directory_with_nothing_to_read(folder: Path, tmp_path: Path, words: list[str]) -> None:
    assert "no finished run file in this directory" in ffprobe(*words, ".", cwd=tmp_path).err
    shutil.copy(folder / "runs" / "greedy-0.h5", tmp_path / "left.h5.partial")
    (tmp_path / "bad.h5").write_text("hello")
    done = ffprobe(*words, ".", cwd=tmp_path)
    assert done.code == 4
    assert "It has 1 unfinished run; name one to read it: left.h5.partial" in done.err
    assert "bad.h5: skipped; This is not an HDF5 file" in done.err


def test_an_unknown_analysis_of_a_directory_is_reported_first(folder: Path) -> None:
    done = ffprobe("analyze", "layrs", "runs", cwd=folder)
    assert done.code == 3
    assert "skipped" not in done.err


def test_what_by_means() -> None:
    plugins = "network+encoder+normalizer+goodness+loss+negatives+scheduler+rule+evaluator"
    assert _keys("") == ""
    assert _keys("plugins, dataset") == f"{plugins}+dataset"
    assert _keys("loss,network.width") == "loss+network.width"
