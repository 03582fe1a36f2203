"""The page of all methods, from tiny runs whose numbers are known from their files."""

from __future__ import annotations

import importlib.util
import statistics
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import ffprobe
from ffprobe.config.preset_files import preset_names
from ffprobe.plugin.registry import Registry
from ffprobe.sweep.grid import read_grid
from ffprobe.sweep.plan import plan
from ffprobe.training.session import Session

STUDIES = Path(__file__).parents[2] / "studies"
GRID = """
out = "runs/tiny"

[each]
epochs = 1
batch-size = 32
dataset = "digits"
network.width = 0.05
training.max_images = 64
set = {probes = []}

[axes.data]
digits = {}
cifar10-jpeg = {set = {"recording.samples" = 60}}

[axes]
seed = [0, 1]

[axes.method]
trifecta = {preset = "trifecta"}
vanilla-ff = {preset = "vanilla-ff"}
scff = {preset = "scff", plugin = "greedy"}
cwcomp = {preset = "cwcomp"}
"""
FINISHED = {
    "digits_seed=0_trifecta",
    "digits_seed=1_trifecta",
    "digits_seed=0_vanilla-ff",
    "digits_seed=0_scff",
    "digits_seed=0_cwcomp",
    "cifar10-jpeg_seed=0_cwcomp",
}


@pytest.fixture(scope="module")
def methods() -> Any:
    spec = importlib.util.spec_from_file_location("methods_page", STUDIES / "methods.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["methods_page"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("methods")
    (folder / "grid.toml").write_text(GRID)
    registry = Registry()
    for one in plan(read_grid(folder / "grid.toml"), folder, registry):
        if one.job.name in FINISHED:
            Session.start(one.config, registry, one.job.out).run()
    return folder


def test_the_page_shows_what_is_in_the_files(methods: Any, runs: Path, tmp_path: Path) -> None:
    methods.main(runs, runs / "grid.toml", tmp_path / "page.md", tmp_path / "rows.csv")
    text = (tmp_path / "page.md").read_text()
    assert "6 of 16 runs are finished." in text
    for name in ("trifecta", "vanilla-ff", "scff", "cwcomp"):
        found = []
        for seed in (0, 1) if name == "trifecta" else (0,):
            with ffprobe.open(runs / f"digits_seed={seed}_{name}.h5") as run:
                found.append(100 * float(run.read("final/model_test_accuracy")))
        table = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        cells = [cell.strip() for cell in table.strip("|").split("|")]
        spread = f" ± {statistics.stdev(found):.1f}" if len(found) > 1 else ""
        assert cells[2] == f"{statistics.mean(found):.1f}{spread} ({len(found)})"
        assert (cells[3] == "–") == (name != "cwcomp")
        assert cells[4] == {"trifecta": "80.01 ± 0.60", "vanilla-ff": "29.27 ± 2.49"}.get(name, cells[4])
        assert int(cells[5].replace(",", "")) > 0
        assert int(cells[6].replace(",", "")) > 50
        # ten labels are ten passes; class vectors and features are one
        assert cells[8] == {"trifecta": "10", "vanilla-ff": "10", "scff": "1", "cwcomp": "1"}[name]
    assert "and 1 before" in text.split("`trifecta`")[1].split("\n")[0]
    assert "TFF/s layers, 100 epochs, threshold 2" in text
    assert "`trifecta` above `vanilla-ff`" in text


def test_rows_stand_for_files_that_are_not_at_hand(methods: Any, runs: Path, tmp_path: Path) -> None:
    grid, page, rows = runs / "grid.toml", tmp_path / "page.md", tmp_path / "rows.csv"
    methods.main(runs, grid, page, rows)
    told, lines = page.read_text(), rows.read_text()
    assert lines.count("\n") == 1 + len(FINISHED)
    methods.main(tmp_path / "nothing", grid, page, rows)
    assert (page.read_text(), rows.read_text()) == (told, lines)
    other = tmp_path / "grid.toml"
    other.write_text(GRID.replace("vanilla-ff = {", "vanilla-ff = {training.learning_rate = 0.5, "))
    methods.main(tmp_path / "nothing", other, page, rows)  # a row of another run than the grid has now
    assert "vanilla-ff" not in rows.read_text() and "trifecta" in rows.read_text()
    assert "5 of 16 runs are finished." in page.read_text()


def test_a_row_is_of_what_the_preset_said_then(methods: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["run", "--preset", "pepita", "--out", "a.h5"]
    then = methods._asked(words)
    assert then == methods._asked([*words[:-1], "b.h5"]) != methods._asked([*words, "--seed", "1"])
    monkeypatch.setattr(methods, "read_preset", lambda name: {"training": {"standardize": True}})
    assert methods._asked(words) != then


def test_orders_are_judged_by_the_paired_difference(methods: Any) -> None:
    def cell(*values: float) -> Any:
        return methods.Cell({str(i): value for i, value in enumerate(values)})

    assert methods.judged(cell(80, 82, 81), cell(70, 71, 72)).startswith("**agrees**, +10.0")
    assert methods.judged(cell(70, 71, 72), cell(80, 82, 81)).startswith("**differs**, -10.0")
    # differences of 10, -4 and 3: 3 points with a standard error of 4.04, times 4.303 for three seeds
    assert methods.judged(cell(80, 76, 78), cell(70, 80, 75)).startswith("inconclusive, +3.0 ± 17.4")
    assert methods.judged(cell(70, 80, 75), cell(80, 76, 78)).startswith("inconclusive, -3.0 ± 17.4")
    # differences of 3, 1 and 2: three standard errors above 0, of three seeds too few
    assert methods.judged(cell(73, 71, 72), cell(70, 70, 70)).startswith("inconclusive, +2.0 ± 2.5")
    # the same differences on every seed are sure, however far the seeds lie apart
    assert methods.judged(cell(10, 50, 90), cell(9, 49, 89)) == "**agrees**, +1.0 ± 0.0 points."
    assert "too few" in methods.judged(cell(80, 82), cell(70, 71))
    assert methods.judged(cell(80), cell()) == ""


def test_the_plan_has_every_preset_and_every_number_has_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIFAR10_JPEG", "cifar10-jpeg.tar.xz")
    grid = read_grid(STUDIES / "methods.toml")
    presets = {str(point.options["preset"]) for point in grid.axes["method"]}
    assert presets == set(preset_names())
    named = {point.name for point in grid.axes["method"]}
    published = tomllib.loads((STUDIES / "published.toml").read_text())
    assert set(published["methods"]) <= named
    assert {order[side] for order in published["orders"] for side in ("better", "worse")} <= named
    for name, said in published["methods"].items():
        numbers = {"fashion-mnist", "cifar10"} & set(said)
        assert not numbers or (said["setting"] and said["source"]), name


def test_every_run_of_the_plan_can_be_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIFAR10_JPEG", "cifar10-jpeg.tar.xz")
    grid = read_grid(STUDIES / "methods.toml")
    planned = plan(grid, tmp_path, Registry())
    assert len(planned) == 3 * 3 * len(grid.axes["method"])
    assert {one.config.settings.training.batch_size for one in planned} == {32}
