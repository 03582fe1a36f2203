"""The search of learning rates: its grid, what it chooses, and what it leaves."""

from __future__ import annotations

import csv
import importlib.util
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ffprobe.plugin.registry import Registry
from ffprobe.sweep.grid import read_grid
from ffprobe.sweep.plan import plan

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.fixture(scope="module")
def rates() -> Any:
    spec = importlib.util.spec_from_file_location("rates", STUDIES / "rates.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["rates"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def grids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.setenv("CIFAR10_JPEG", "cifar10-jpeg.tar.xz")
    methods = tmp_path / "methods.toml"
    text = (STUDIES / "methods.toml").read_text()
    head = text[: text.index("[axes.method]")]
    methods.write_text(
        head + '[axes.method]\ntrifecta = {preset = "trifecta", plugin = "tff-d"}\npepita = {preset = "pepita"}\n'
        'untrained = {preset = "scff", training.learning_rate = 1e-12}\n'
    )
    return methods, tmp_path / "rates.toml"


def test_the_grid_has_three_rates_of_every_method_that_learns(rates: Any, grids: tuple[Path, Path]) -> None:
    rates.plan(*grids)
    planned = plan(read_grid(grids[1]), grids[1].parent, Registry())
    found = {(run.config.settings.preset, run.config.settings.training.learning_rate) for run in planned}
    assert found == {("trifecta", r) for r in (0.000333, 0.001, 0.003)} | {("pepita", r) for r in (0.0333, 0.1, 0.3)}
    assert len(planned) == 2 * 3
    assert {run.config.settings.training.test for run in planned} == {"never"}
    assert {run.config.slots["network"].component.name for run in planned} == {"tff-d", "fcn"}  # type: ignore[attr-defined]


def test_the_best_rate_is_chosen_and_incomplete_methods_stay(
    rates: Any, grids: tuple[Path, Path], tmp_path: Path
) -> None:
    rates.plan(*grids)
    table = tmp_path / "rates.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["method", "rate", "data", "validation", "chosen"])
        for rate, cifar in ((0.000333, 20), (0.001, 35), (0.003, 1)):
            writer.writerow(["trifecta", rate, "cifar10-jpeg", cifar, ""])
        writer.writerow(["pepita", 0.3, "cifar10-jpeg", 99, ""])
    rates.choose(tmp_path / "nothing", *grids, table)
    methods = tomllib.loads(grids[0].read_text())["axes"]["method"]
    assert methods["trifecta"] == {"preset": "trifecta", "plugin": "tff-d", "training": {"learning_rate": 0.001}}
    assert methods["pepita"] == {"preset": "pepita"}
    assert methods["untrained"] == {"preset": "scff", "training": {"learning_rate": 1e-12}}
    with table.open(newline="") as file:
        kept = list(csv.DictReader(file))
    assert {row["rate"] for row in kept if row["chosen"]} == {"0.001"}
    assert len(kept) == 4


def test_the_grid_in_the_repository_is_that_of_the_methods(
    rates: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIFAR10_JPEG", "cifar10-jpeg.tar.xz")
    methods, _ = read_grid(STUDIES / "methods.toml"), read_grid(STUDIES / "rates.toml")
    learning = {name for name, _, _ in rates.rates(STUDIES / "methods.toml")}
    found = {name.partition("__")[0] for name in tomllib.loads((STUDIES / "rates.toml").read_text())["axes"]["method"]}
    assert found == learning
    assert {p.name for p in methods.axes["method"]} - learning == {
        p.name for p in methods.axes["method"] if p.name.startswith("untrained-")
    }
