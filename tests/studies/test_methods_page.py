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
    methods.main(runs, runs / "grid.toml", tmp_path / "page.md", tmp_path / "rows.csv", tmp_path / "no-floors.csv")
    text = (tmp_path / "page.md").read_text()
    assert "6 of 16 runs are finished." in text
    for name in ("trifecta", "vanilla-ff", "scff", "cwcomp"):
        found, last = [], []
        for seed in (0, 1) if name == "trifecta" else (0,):
            with ffprobe.open(runs / f"digits_seed={seed}_{name}.h5") as run:
                found.append(100 * float(run.read("final/model_test_accuracy")))
                last.append(100 * float(run.read("final/test_accuracy")[-1]))
        table = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        cells = [cell.strip() for cell in table.strip("|").split("|")]
        spread = f" ± {statistics.stdev(found):.1f}" if len(found) > 1 else ""
        mean = statistics.mean(found)
        images = (mean * (100 - mean) / 360) ** 0.5  # digits has 360 test images
        assert cells[2] == f"{mean:.1f}{spread} ± {images:.1f} ({len(found)})"
        assert cells[3] == ("–" if name == "scff" else f"{statistics.mean(last):.1f}")
        assert (cells[4] == "–") == (name != "cwcomp")
        assert cells[6] == {"trifecta": "80.01 ± 0.60", "vanilla-ff": "29.27 ± 2.49"}.get(name, cells[6])
        assert int(cells[7].replace(",", "")) > 0
        assert int(cells[8].replace(",", "")) > 50
        # ten labels are ten passes; class vectors and features are one
        assert cells[10] == {"trifecta": "10", "vanilla-ff": "10", "scff": "1", "cwcomp": "1"}[name]
    assert "and 1 before" in text.split("`trifecta`")[1].split("\n")[0]
    assert "TFF/s layers, 100 epochs, threshold 2" in text
    assert "`trifecta` above `vanilla-ff`" in text


def test_rows_stand_for_files_that_are_not_at_hand(methods: Any, runs: Path, tmp_path: Path) -> None:
    grid, page, rows = runs / "grid.toml", tmp_path / "page.md", tmp_path / "rows.csv"
    none = tmp_path / "no-floors.csv"
    methods.main(runs, grid, page, rows, none)
    told, lines = page.read_text(), rows.read_text()
    assert lines.count("\n") == 1 + len(FINISHED)
    methods.main(tmp_path / "nothing", grid, page, rows, none)
    assert (page.read_text(), rows.read_text()) == (told, lines)
    other = tmp_path / "grid.toml"
    other.write_text(GRID.replace("vanilla-ff = {", "vanilla-ff = {training.learning_rate = 0.5, "))
    methods.main(tmp_path / "nothing", other, page, rows, none)  # a row of another run than the grid has now
    assert "vanilla-ff" not in rows.read_text() and "trifecta" in rows.read_text()
    assert "5 of 16 runs are finished." in page.read_text()


def test_a_row_is_of_what_the_preset_said_then(methods: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["run", "--preset", "pepita", "--out", "a.h5"]
    then = methods._asked(words)
    assert then == methods._asked([*words[:-1], "b.h5"]) != methods._asked([*words, "--seed", "1"])
    monkeypatch.setattr(methods, "read_preset", lambda name: {"training": {"standardize": True}})
    assert methods._asked(words) != then


def test_orders_are_judged_by_the_paired_difference(methods: Any) -> None:
    def judged(better: tuple[float, ...], worse: tuple[float, ...], tests: int = 1) -> str:
        one, other = (methods.Cell({str(i): v for i, v in enumerate(values)}) for values in (better, worse))
        estimate = methods.difference(one, other)
        return "" if estimate is None else methods.judged(estimate, tests * estimate.p)

    assert judged((80, 82, 81), (70, 71, 72)).startswith("**agrees**, +10.0")
    assert judged((70, 71, 72), (80, 82, 81)).startswith("**differs**, -10.0")
    assert judged((80, 82, 81), (70, 71, 72), tests=30).startswith("inconclusive, +10.0")
    # differences of 10, -4 and 3: 3 points with a standard error of 4.04, times 4.303 for three seeds
    assert judged((80, 76, 78), (70, 80, 75)).startswith("inconclusive, +3.0 ± 17.4")
    # differences of 3, 1 and 2: three standard errors above 0, of three seeds too few
    assert judged((73, 71, 72), (70, 70, 70)).startswith("inconclusive, +2.0 ± 2.5")
    # the same difference on every seed has no spread to be tested against
    assert "cannot be tested" in judged((10, 50, 90), (9, 49, 89))
    assert "too few" in judged((80, 82), (70, 71))
    assert judged((80,), ()) == ""


def test_p_values_are_corrected_over_all_orders(methods: Any) -> None:
    def row(*values: float) -> Any:
        return methods.Method({"digits": methods.Cell({str(i): v for i, v in enumerate(values)})})

    rows = {"a": row(80, 82, 81), "b": row(70, 71, 72), "c": row(80, 83, 82)}
    orders = [{"better": "a", "worse": "b", "source": "x"}, {"better": "c", "worse": "a", "source": "y"}]
    alone = methods._orders(rows, ["digits"], orders[:1])
    both = methods._orders(rows, ["digits"], orders)
    p_alone, p_both = (float(text.splitlines()[0].split("p = ")[1].rstrip(".")) for text in (alone, both))
    assert p_both == pytest.approx(2 * p_alone, rel=0.1)  # the smaller of two p values, printed with two digits


def test_the_floor_is_a_row_of_the_table(methods: Any, runs: Path, tmp_path: Path) -> None:
    floors = tmp_path / "floors.csv"
    floors.write_text("data,seed,accuracy,tested\ndigits,seed=0,90,100\ndigits,seed=1,92,100\n")
    methods.main(runs, runs / "grid.toml", tmp_path / "page.md", tmp_path / "rows.csv", floors)
    line = next(one for one in (tmp_path / "page.md").read_text().splitlines() if "`logistic-regression`" in one)
    assert "| 91.0 ± 1.4 ± 2.9 (2) | – |" in line


def test_stored_rows_with_other_columns_are_not_used(methods: Any, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("method,data,seed,accuracy\na,digits,seed=0,1\n")
    assert methods.kept(path) == {}


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
    assert len(planned) == 5 * 2 * len(grid.axes["method"])
    assert {one.config.settings.training.batch_size for one in planned} == {32}


def test_the_long_grid_has_the_rows_of_the_short_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIFAR10_JPEG", "cifar10-jpeg.tar.xz")
    long, short = (
        tomllib.loads((STUDIES / f"{name}.toml").read_text())["axes"]["method"] for name in ("methods-long", "methods")
    )
    chosen = tomllib.loads((STUDIES / "published.toml").read_text())["long"]
    assert long == {name: short[name] for name in short if name in chosen}
    assert len(long) == len(chosen)
    training = {
        one.config.settings.training.max_images
        for one in plan(read_grid(STUDIES / "methods-long.toml"), tmp_path, Registry())
    }
    assert training == {10_000}


def test_every_method_is_in_one_family() -> None:
    named = set(tomllib.loads((STUDIES / "methods.toml").read_text())["axes"]["method"])
    families = tomllib.loads((STUDIES / "published.toml").read_text())["families"]
    members = [name for names in families.values() for name in names]
    assert len(members) == len(set(members))
    assert set(members) == {name for name in named if not name.startswith(("bp", "untrained-"))}


def test_curves_are_those_of_the_files_and_are_drawn(methods: Any, runs: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    methods.main(runs, runs / "grid.toml", tmp_path / "page.md", rows, tmp_path / "no-floors.csv")
    spec = importlib.util.spec_from_file_location("methods_figure", STUDIES / "methods_figure.py")
    assert spec and spec.loader
    figure = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figure)
    found = figure.curves(rows, "digits")
    expected = []
    for seed in (0, 1):
        with ffprobe.open(runs / f"digits_seed={seed}_trifecta.h5") as run:
            expected.append(100 * float(run.read("metrics/model_validation_accuracy")[-1]))
    assert found["trifecta"][0] == [2]  # one epoch of 64 images in batches of 32
    assert found["trifecta"][1] == pytest.approx([statistics.mean(expected)], abs=0.1)
    figure.main(rows, "digits", tmp_path / "steps.svg")
    text = (tmp_path / "steps.svg").read_text()
    assert "labels in the input" in text and "without labels" in text and "other ways back" not in text
