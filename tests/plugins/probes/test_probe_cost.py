"""What runs cost: counts of a step by hand, targets, equal time, and files without counts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import ffprobe
from ffprobe.network.multiply_adds import multiply_adds
from ffprobe.testing import toy_run

CLASS_FORM = ("no-label", "linear-head", "cross-entropy", "greedy")


@pytest.fixture(scope="module")
def greedy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = {"training": {"epochs": 4}}
    return toy_run("cost", *CLASS_FORM, out=tmp_path_factory.mktemp("cost") / "greedy.h5", settings=settings).path


def changed(path: Path, to: Path, accuracy: list[float], seconds: list[float]) -> Path:
    """A copy of a run with other accuracies and times."""
    to.write_bytes(path.read_bytes())
    with h5py.File(to, "r+") as file:
        file["metrics/model_validation_accuracy"][...] = accuracy
        file["metrics/wall_time"][...] = seconds
    return to


def rows(*runs: Path, question: str = "cost") -> list[dict[str, Any]]:
    return ffprobe.analyze(question, *runs).to_dict()["rows"]


def test_a_step_of_greedy_layers_costs_a_forward_pass_and_the_gradients_of_weights(tmp_path: Path) -> None:
    run = toy_run("cost", *CLASS_FORM, out=tmp_path / "run.h5")
    network, batch = run.experiment.network, 32
    forward = multiply_adds(network, run.experiment.split.train.shape)
    heads = [network.layer(i).goodness.linear.weight.numel() for i in range(network.depth)]
    # a layer's input needs no gradient, that of a head does
    expected = batch * sum(2 * layer + 3 * head for layer, head in zip(forward, heads, strict=True))
    with run.open() as file:
        counted = file.read("probes/cost/multiply_adds")
    assert counted[-1] == expected


def test_backpropagation_also_computes_gradients_of_inputs(tmp_path: Path) -> None:
    run = toy_run("cost", "no-label", "linear-head", "cross-entropy", "whole", "layer-goodness", out=tmp_path / "b.h5")
    network, batch = run.experiment.network, 32
    forward = multiply_adds(network, run.experiment.split.train.shape)
    head = network.layer(network.depth - 1).goodness.linear.weight.numel()
    with run.open() as file:
        counted = file.read("probes/cost/multiply_adds")
    assert counted[-1] == batch * (3 * sum(forward) - forward[0] + 3 * head)


def test_the_target_is_the_highest_accuracy_that_all_runs_reached(greedy: Path, tmp_path: Path) -> None:
    slow = changed(greedy, tmp_path / "slow.h5", [0.2, 0.5, 0.6, 0.7], [10, 20, 30, 40])
    fast = changed(greedy, tmp_path / "fast.h5", [0.65, 0.71, 0.8, 0.9], [5, 15, 25, 35])
    one, other = rows(slow, fast)
    assert (round(one["best"], 4), one["epochs"], one["time"]) == (70, 4, 40)
    assert (other["epochs"], other["time"]) == (2, 15)
    assert one["operations"] == pytest.approx(2 * other["operations"])
    # when the shortest run ended, after 35 s, the slow one had finished three epochs
    assert (round(one["at_equal_time"], 4), round(other["at_equal_time"], 4)) == (60, 90)


def test_a_given_target_that_is_not_reached(greedy: Path, tmp_path: Path) -> None:
    path = changed(greedy, tmp_path / "run.h5", [0.2, math.nan, 0.6, 0.5], [10, 20, 30, 40])
    document = ffprobe.analyze("cost:accuracy=61", path).to_dict()
    assert document["rows"][0]["time"] is None
    assert document["rows"][0]["epochs"] is None
    assert any("was not reached; the best is 60.00 %" in note for note in document["notes"])
    assert any("3 of 4 epochs were evaluated" in note for note in document["notes"])
    assert rows(path, question="cost:accuracy=60")[0]["time"] == 30
    exact = changed(greedy, tmp_path / "exact.h5", [0.2, 0.5, 0.7, 0.7], [10, 20, 30, 40])
    assert rows(exact, question="cost:accuracy=70")[0]["time"] == 30  # 0.7 is a little less in float32


def test_costs_are_summed_by_the_count_that_follows(greedy: Path, tmp_path: Path) -> None:
    path = changed(greedy, tmp_path / "run.h5", [0.1, 0.2, 0.3, 0.4], [1, 2, 3, 4])
    with h5py.File(path, "r+") as file:
        file["probes/cost/multiply_adds"][...] = [math.nan, 3e12, math.nan, 5e12]
        file["probes/cost/energy"][...] = [1000, 2000, 3000, 4000]
    (row,) = rows(path, question="cost:accuracy=30")
    assert row["operations"] == 2 * (3 + 3 + 5)  # two steps in an epoch
    assert row["energy"] == 3


def test_a_run_without_counts_has_times_and_says_what_records_the_rest(tmp_path: Path) -> None:
    run = toy_run(*CLASS_FORM, out=tmp_path / "run.h5")
    document = ffprobe.analyze("cost", run.path).to_dict()
    (row,) = document["rows"]
    assert row["operations"] is None
    assert row["time"] > 0
    assert row["memory"] > 1
    assert any("--plugin cost" in note for note in document["notes"])


def test_runs_of_different_machines_do_not_compare(greedy: Path, tmp_path: Path) -> None:
    other = changed(greedy, tmp_path / "other.h5", [0.1] * 4, [1, 2, 3, 4])
    with h5py.File(other, "r+") as file:
        file.attrs["processor"] = "another"
    notes = ffprobe.analyze("cost", greedy, other).to_dict()["notes"]
    assert any("do not compare" in note for note in notes)


def test_counting_changes_nothing_in_the_run(tmp_path: Path, greedy: Path) -> None:
    plain = toy_run(*CLASS_FORM, out=tmp_path / "run.h5", settings={"training": {"epochs": 4}})
    with plain.open() as one, ffprobe.open(greedy) as two:
        for name in ("metrics/loss", "test/goodness"):
            np.testing.assert_array_equal(one.read(name), two.read(name))
