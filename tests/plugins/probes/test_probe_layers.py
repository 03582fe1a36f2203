"""Figures 1 and 4: accuracy by depth, and of layers read together, from the file alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ffprobe_plugins.probes.layers import Layers

import ffprobe

MakeRun = Callable[..., Any]


def goodness_of(right: list[int], weights: tuple[int, ...] = (1,) * 9, samples: int = 20) -> dict[str, np.ndarray]:
    """Goodness ``[layer, sample, 4]`` in which layer ``i`` names the first ``right[i]`` samples and no other."""
    truth = np.arange(samples) % 4
    goodness = np.zeros((len(right), samples, 4))
    for layer, count in enumerate(right):
        named = np.where(np.arange(samples) < count, truth, (truth + 1) % 4)
        goodness[layer, np.arange(samples), named] = weights[layer]
    return {"goodness": goodness, "truth": truth}


def test_one_run_says_accuracy_and_its_error_by_depth(make_run: MakeRun) -> None:
    rows = Layers().analyze([make_run(**goodness_of([10, 15, 20, 12]))]).json()["rows"]
    assert [row["test"] for row in rows[:4]] == pytest.approx([50, 75, 100, 60])
    assert [row["validation"] for row in rows[:4]] == pytest.approx([50, 75, 100, 60])
    assert [row["test_se"] for row in rows[:3]] == pytest.approx([100 * (0.25 / 20) ** 0.5, 9.682458, 0])
    assert [(row["depth"], row["layer"]) for row in rows[:4]] == [(1, "0"), (2, "1"), (3, "2"), (4, "3")]


def test_layers_read_together_are_averaged(make_run: MakeRun) -> None:
    run = make_run(**goodness_of([20, 16, 12, 8, 4], weights=(12, 5, 1, 1, 1)))
    rows = {row["layer"]: row for row in Layers().analyze([run]).json()["rows"] if row["depth"] is None}
    # of the last three two must agree; the second outweighs the three, the first all others
    told = {"last": 20, "last 3": 40, "all but first": 80, "all": 100}
    for part in ("test", "validation"):
        assert {name: row[part] for name, row in rows.items()} == pytest.approx(told)
    assert rows["last 3"]["test_se"] == pytest.approx(100 * (0.4 * 0.6 / 20) ** 0.5)


def test_reading_together_can_help(make_run: MakeRun) -> None:
    random, truth = np.random.default_rng(0), np.arange(400) % 4
    goodness = random.normal(size=(6, 400, 4))
    goodness[:, np.arange(400), truth] += 1
    rows = {
        row["layer"]: row["test"] for row in Layers().analyze([make_run(goodness=goodness, truth=truth)]).json()["rows"]
    }
    assert rows["last"] == pytest.approx(rows["5"])
    assert rows["last"] + 10 < rows["last 3"] < rows["all but first"] + 3 < rows["all"] + 6


def test_several_runs_stand_side_by_side_under_their_labels(make_run: MakeRun) -> None:
    runs = [
        make_run("a", plugins={"normalizer": "batchnorm"}, **goodness_of([10, 15])),
        make_run("b", **goodness_of([10, 15, 20])),
    ]
    result = Layers().analyze(runs)
    rows = result.json()["rows"]
    assert [row["length test"] for row in rows[:3]] == pytest.approx([50, 75, 100])
    assert [row["batchnorm test"] for row in rows[:2]] == pytest.approx([50, 75])
    assert rows[2]["batchnorm test"] is None  # it has two layers
    assert [one["label"] for one in result.json()["extra"]["runs"]] == ["batchnorm", "length"]
    lines = [line for line in result.figure().axes[0].lines if len(line.get_xdata()) > 1 and line.get_marker() in "os"]
    assert [list(line.get_ydata()) for line in lines] == [pytest.approx([50, 75]), pytest.approx([50, 75, 100])]
    assert result.figure().axes[0].get_ylabel() == "test accuracy (%)"


def test_figure_of_one_run_shows_test_and_validation(make_run: MakeRun, tmp_path: Path) -> None:
    result = Layers().analyze([make_run(**goodness_of([10, 15, 20]))])
    axes = result.figure().axes[0]
    assert [text.get_text() for text in axes.texts] == ["test", "validation"]
    assert all(tick == round(tick) for tick in axes.get_xticks())
    for suffix in (".png", ".svg", ".pdf"):
        figure, data = result.save_figure(tmp_path / f"f{suffix}", command="ffprobe analyze layers run.h5")
        assert figure.stat().st_size > 3000
        assert "75.0" in data.read_text(encoding="utf-8")


def test_unfinished_run_tells_its_last_measured_validation(make_run: MakeRun) -> None:
    result = Layers().analyze([make_run(finish=False, **goodness_of([10, 15]))])
    rows = result.json()["rows"]
    assert [row["validation"] for row in rows[:2]] == pytest.approx([50, 75])
    assert all(row["test"] is None for row in rows)
    assert "unfinished, 2 epochs" in result.notes[0]
    assert "last measured after epoch 1" in result.notes[1]  # epoch 2 was not evaluated
    assert "test set has not been read" in result.notes[2]
    assert result.figure().axes[0].lines


def test_unfinished_beside_finished_keeps_the_finished_one_on_the_test_set(make_run: MakeRun) -> None:
    runs = [make_run("a", **goodness_of([10, 15])), make_run("b", finish=False, **goodness_of([10, 15]))]
    result = Layers().analyze(runs)
    assert result.document["plotted"] == "test"
    assert len(result.figure().axes[0].containers) == 1


def test_run_without_a_test_set_shows_validation(make_run: MakeRun) -> None:
    runs = [make_run(name, test=False, plugins={"loss": name}, **goodness_of([10, 15])) for name in "ab"]
    result = Layers().analyze(runs)
    assert result.figure().axes[0].get_ylabel() == "validation accuracy (%)"
    assert result.json()["rows"][1]["a validation"] == pytest.approx(75)


def test_nothing_measured_is_refused(make_run: MakeRun) -> None:
    run = make_run(finish=False, goodness=np.full((2, 4, 4), np.nan), truth=np.full(4, 1))
    read = run.read
    run.read = lambda path: read(path) * np.nan if path == "metrics/validation_accuracy" else read(path)
    with pytest.raises(ffprobe.FileError, match=r"No accuracy has been measured.*run\.h5\.partial.*first evaluation"):
        Layers().analyze([run])
