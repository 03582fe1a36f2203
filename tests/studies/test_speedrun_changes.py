"""The table of the speedrun's ingredients, from tiny runs."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.sweep.grid import read_grid
from ffprobe.sweep.plan import plan
from ffprobe.training.session import Session

STUDY = Path(__file__).parents[2] / "studies" / "speedrun.py"
GRID = """
[each]
preset = "mono-forward"
dataset = "digits"
epochs = 3
batch-size = 32
network.width = 0.02
training.max_images = 64
training.test = "never"
set = {probes = []}

[axes]
seed = [0, 1]

[axes.change]
nothing = {}
last = {plugin = "whole"}
"""


def test_the_table_has_the_numbers_of_finished_runs(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("speedrun_changes", STUDY)
    assert spec and spec.loader
    study = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(study)
    (tmp_path / "grid.toml").write_text(GRID)
    registry = Registry()
    for one in plan(read_grid(tmp_path / "grid.toml"), tmp_path, registry):
        if one.job.name != "seed=1_last":
            Session.start(one.config, registry, one.job.out).run()
    study.main(tmp_path, tmp_path / "grid.toml", tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["change"]) for row in rows] == [("0", "nothing"), ("0", "last"), ("1", "nothing")]
    with ffprobe.open(tmp_path / "seed=0_nothing.h5") as run:
        depth = len(run.read("final/validation_accuracy"))
        assert rows[0]["model"] == f"{100 * float(run.read('final/model_validation_accuracy')):.2f}"
        assert rows[0][f"layer {depth}"] == f"{100 * float(run.read('final/validation_accuracy')[-1]):.2f}"
        assert rows[0]["torch_version"] == run.attributes["torch_version"]
    assert f"layer {depth + 1}" not in rows[0]
    assert rows[1]["layer 1"] == "", "a layer without a loss has no accuracy"
