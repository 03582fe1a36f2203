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
    rows = Layers().analyze([make_run(**goodness_of([10, 15, 20, 12]))]).to_dict()["rows"]
    assert [row["test"] for row in rows[:4]] == pytest.approx([50, 75, 100, 60])
    assert [row["validation"] for row in rows[:4]] == pytest.approx([50, 75, 100, 60])
    assert [row["test_se"] for row in rows[:3]] == pytest.approx([100 * (0.25 / 20) ** 0.5, 9.682458, 0])
    assert [(row["depth"], row["layer"]) for row in rows[:4]] == [(1, "1"), (2, "2"), (3, "3"), (4, "4")]


def test_goodness_of_several_layers_is_averaged(make_run: MakeRun) -> None:
    run = make_run(**goodness_of([20, 16, 12, 8, 4], weights=(12, 5, 1, 1, 1)))
    rows = {row["layer"]: row for row in Layers().analyze([run]).to_dict()["rows"] if row["depth"] is None}
    # of the last three two must agree; the second outweighs the three, the first all others
    expected = {"last": 20, "last 3": 40, "all but first": 80, "all": 100}
    for part in ("test", "validation"):
        assert {name: row[part] for name, row in rows.items()} == pytest.approx(expected)
    assert rows["last 3"]["test_se"] == pytest.approx(100 * (0.4 * 0.6 / 20) ** 0.5)


def test_reading_together_can_help(make_run: MakeRun) -> None:
    random, truth = np.random.default_rng(0), np.arange(400) % 4
    goodness = random.normal(size=(6, 400, 4))
    goodness[:, np.arange(400), truth] += 1
    rows = {
        row["layer"]: row["test"]
        for row in Layers().analyze([make_run(goodness=goodness, truth=truth)]).to_dict()["rows"]
    }
    assert rows["last"] == pytest.approx(rows["6"])
    assert rows["last"] + 10 < rows["last 3"] < rows["all but first"] + 3 < rows["all"] + 6


def test_several_runs_have_columns_with_their_labels(make_run: MakeRun) -> None:
    runs = [
        make_run("a", plugins={"normalizer": "batchnorm"}, **goodness_of([10, 15])),
        make_run("b", **goodness_of([10, 15, 20])),
    ]
    result = Layers().analyze(runs)
    rows = result.to_dict()["rows"]
    assert [row["b test"] for row in rows[:3]] == pytest.approx([50, 75, 100])
    assert [row["a test"] for row in rows[:2]] == pytest.approx([50, 75])
    assert rows[2]["a test"] is None  # it has two layers
    assert [one["label"] for one in result.to_dict()["extra"]["runs"]] == ["a", "b"]
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


def test_unfinished_run_shows_its_last_measured_validation(make_run: MakeRun) -> None:
    result = Layers().analyze([make_run(finish=False, **goodness_of([10, 15]))])
    rows = result.to_dict()["rows"]
    assert [row["validation"] for row in rows[:2]] == pytest.approx([50, 75])
    assert all(row["test"] is None for row in rows)
    assert "unfinished; the file has 2 epochs" in result.notes[0]
    assert "last measured after epoch 1" in result.notes[1]  # epoch 2 was not evaluated
    assert "test set was not evaluated" in result.notes[2]
    assert result.figure().axes[0].lines


def test_unfinished_beside_finished_keeps_the_finished_one_on_the_test_set(make_run: MakeRun) -> None:
    runs = [make_run("a", **goodness_of([10, 15])), make_run("b", finish=False, **goodness_of([10, 15]))]
    result = Layers().analyze(runs)
    assert result.extra["plotted"] == "test"
    assert len(result.figure().axes[0].containers) == 1


def test_run_without_a_test_set_shows_validation(make_run: MakeRun) -> None:
    runs = [make_run(name, test=False, plugins={"loss": name}, **goodness_of([10, 15])) for name in "ab"]
    result = Layers().analyze(runs)
    assert result.figure().axes[0].get_ylabel() == "validation accuracy (%)"
    assert result.to_dict()["rows"][1]["a validation"] == pytest.approx(75)


def test_nothing_measured_is_refused(make_run: MakeRun) -> None:
    run = make_run(finish=False, goodness=np.full((2, 4, 4), np.nan), truth=np.full(4, 1))
    read = run.read
    run.read = lambda path: read(path) * np.nan if path == "metrics/validation_accuracy" else read(path)
    with pytest.raises(ffprobe.FileError, match=r"The run measured no accuracy.*run\.h5\.partial.*first evaluation"):
        Layers().analyze([run])


def test_an_image_with_nan_at_its_true_label_is_wrong(make_run: MakeRun) -> None:
    what = goodness_of([20, 0], samples=20)
    what["goodness"][1, np.arange(10), what["truth"][:10]] = np.nan  # argmax would give NaN the win
    rows = {row["layer"]: row["test"] for row in Layers().analyze([make_run(**what)]).to_dict()["rows"]}
    assert rows["last"] == 0


class TestClaims:
    BATCH = {"loss": "symba", "normalizer": "batchnorm"}
    TRIFECTA = {**BATCH, "scheduler": "olu"}

    def claim(self, result: Any, word: str) -> Any:
        return next((claim for claim in result.claims if word in claim.said), None)

    @pytest.mark.parametrize(
        ("plugins", "right", "word", "agrees"),
        [
            ({}, [80, 60, 40], "falls", True),
            ({}, [40, 60, 80], "falls", False),
            ({}, [600, 600, 600], "falls", False),
            ({}, [60, 60, 60], "falls", None),  # 100 images cannot show that a change is below half a point
            ({}, [64, 60, 60], "falls", None),  # 4 images lost and 0 gained: p = 0.125
            ({}, [60, 60, 61], "falls", None),
            ({"normalizer": "rms"}, [80, 60, 40], "falls", True),
            ({"loss": "symba"}, [100, 600, 600, 600], "levels off", True),
            ({"loss": "symba"}, [10, 60, 50, 40], "levels off", True),
            ({"loss": "symba"}, [10, 60, 60, 90], "levels off", False),
            ({"loss": "symba"}, [10, 60, 90], "levels off", None),
            (BATCH, [20, 40, 41, 80], "gains with every layer", True),
            (BATCH, [20, 80, 60, 90], "gains with every layer", False),
            (BATCH, [600, 600, 600, 600], "gains with every layer", False),
            (BATCH, [60, 61, 62, 62], "gains with every layer", None),
            (TRIFECTA, [20, 40, 60], "gains with every layer", True),
        ],
    )
    def test_accuracy_by_depth(
        self, make_run: MakeRun, plugins: dict[str, str], right: list[int], word: str, agrees: bool | None
    ) -> None:
        samples = 1000 if max(right) > 100 else 100
        claim = self.claim(Layers().analyze([make_run(plugins=plugins, **goodness_of(right, samples=samples))]), word)
        assert claim.agrees is agrees

    @pytest.mark.parametrize(
        ("right", "weights", "agrees"),
        [
            ([20, 20, 20, 90, 90, 50], (1, 1, 1, 1, 1, 1), False),  # the other two outvote the last, a shallow network
            ([20, 20, 20, 20, 20, 90], (1, 1, 1, 2, 2, 1), True),
            ([20] * 9 + [90, 90, 50], (1,) * 12, True),
            ([20] * 9 + [20, 20, 90], (1,) * 9 + (2, 2, 1), False),
            ([50] * 12, (1,) * 12, None),
            ([90, 90, 50], (1, 1, 1), None),
        ],
    )
    def test_last_three_layers_help_deep_networks(
        self, make_run: MakeRun, right: list[int], weights: tuple[int, ...], agrees: bool | None
    ) -> None:
        run = make_run(plugins=self.TRIFECTA, **goodness_of(right, weights, samples=100))
        assert self.claim(Layers().analyze([run]), "last three layers").agrees is agrees

    def test_other_settings_are_left_out(self, make_run: MakeRun) -> None:
        run = make_run(plugins={"normalizer": "none"}, **goodness_of([10, 15, 20]))
        assert not Layers().analyze([run]).claims

    def test_numbers_and_labels_are_in_the_text(self, make_run: MakeRun) -> None:
        what = goodness_of([80, 60, 40], samples=100)
        runs = [make_run("a", seed=1, **what), make_run("b", seed=2, plugins={"normalizer": "none"}, **what)]
        (claim,) = Layers().analyze(runs).claims
        assert claim.here == "a: the last layer is -40.00 points against the first."

    def test_a_layer_without_goodness_is_inconclusive(self, make_run: MakeRun) -> None:
        what = goodness_of([80, 60, 40], samples=100)
        what["goodness"][0] = np.nan
        result = Layers().analyze([make_run(**what)])
        (claim,) = result.claims
        assert claim.agrees is None
        assert "unknown" in claim.here
        together = {row["layer"]: row["test"] for row in result.to_dict()["rows"] if row["depth"] is None}
        # where the two others differ, on 20 images, both labels have the same mean: a tie is wrong
        assert together == {"last": 40, "last 3": None, "all but first": pytest.approx(40), "all": None}
