"""The grids in studies/ can be planned as they stand, and are the paper's where they say so."""

from __future__ import annotations

from pathlib import Path

import pytest
from ffprobe_plugins.probes.compare import TABLE_1, TABLE_2

from ffprobe.plugin.registry import Registry
from ffprobe.sweep.grid import read_grid
from ffprobe.sweep.plan import PlannedRun, plan

STUDIES = [
    path
    for path in sorted(Path(__file__).parents[2].joinpath("studies").glob("*.toml"))
    if "[axes" in path.read_text()  # the others are no grids but what papers published
]


SEARCHES = {"rates"}
"""Studies of one seed, which choose a setting for another study."""
VALIDATION_ONLY = {"rates", "speedrun"}
"""Studies that never read the test set."""


def planned(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[PlannedRun]:
    monkeypatch.setenv("CIFAR10_JPEG", str(tmp_path))
    return plan(read_grid(path), tmp_path / "runs", Registry(), tmp_path)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_grid_can_be_planned(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = planned(path, tmp_path, monkeypatch)
    seeds = {run.config.settings.seed for run in runs}
    assert len(STUDIES) >= 11 and len(runs) % len(seeds) == 0
    assert len(seeds) == 1 if path.stem in SEARCHES else len(seeds) >= 3
    read = "never" if path.stem in VALIDATION_ONLY else "end"
    assert {run.config.settings.training.test for run in runs} == {read}, "the test set is read once, or never"


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_seeds_come_first_where_the_file_says_so(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIFAR10_JPEG", str(tmp_path))
    promised = "# Seeds come " in path.read_text()
    assert not promised or next(iter(read_grid(path).axes)) == "seed", "an interrupted sweep would lack whole columns"


@pytest.mark.parametrize(("name", "times"), [("table1", 1), ("table1-cpu", 2)])
def test_table_1_has_the_papers_cells(name: str, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = (path for path in STUDIES if path.stem == name)
    cells, controls = [], []
    for run in planned(path, tmp_path, monkeypatch):
        config = run.config.to_dict()
        number = config["loss"].get("threshold", config["loss"].get("alpha"))
        cell = (config["loss"]["name"], number, config["normalizer"]["name"], config["scheduler"]["name"])
        (cells if config["encoder"]["learned"] == "auto" else controls).append(cell)
        assert config["network"]["name"] == "tff-s"
    assert sorted(cells) == sorted([*TABLE_1] * 3 * times)
    greedy = [cell for cell in TABLE_1 if cell[3] == "greedy"]
    assert sorted(controls) == sorted(greedy * 3 * times), "greedy updates with a learned label encoder"


def test_table_2_has_the_papers_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = (path for path in STUDIES if path.stem == "table2")
    cells = []
    for run in planned(path, tmp_path, monkeypatch):
        config = run.config.to_dict()
        cells.append((config["network"]["name"], config["training"]["epochs"], config["dataset"]["name"]))
        assert (config["loss"]["name"], config["normalizer"]["name"]) == ("symba", "batchnorm")
        assert config["scheduler"]["name"] == "olu"
    assert sorted(cells) == sorted(
        (*row, data) for row, columns in TABLE_2.items() for data in columns for _ in range(3)
    )
