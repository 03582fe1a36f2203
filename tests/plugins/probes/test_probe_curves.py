"""Figure 3: accuracy and separation over epochs, from the file alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ffprobe_plugins.probes.curves import Curves

import ffprobe

MakeRun = Callable[..., Any]
DEEP = {"loss": "symba", "normalizer": "batchnorm", "scheduler": "olu", "network": "tff-d"}


def analyze(*runs: Any) -> Any:
    return Curves().analyze(list(runs))


def course(epochs: int = 5, layers: int = 3, evaluated: tuple[int, ...] = (2, 5), test: bool = False) -> dict[str, Any]:
    """Random measurements of every epoch, evaluated after some."""
    random, truth = np.random.default_rng(0), np.arange(40) % 4
    evaluations = {epoch: random.normal(size=(layers, 40, 4)) for epoch in evaluated}
    metrics = []
    for epoch in range(1, epochs + 1):
        row = {f"goodness_{sign}": random.random(layers) + add for sign, add in (("positive", 1), ("negative", 0))}
        if epoch in evaluated:
            row["validation_accuracy"] = (evaluations[epoch].argmax(axis=2) == truth).mean(axis=1)
            if test:
                row["test_accuracy"] = row["validation_accuracy"] / 2
        metrics.append(row)
    return {"metrics": metrics, "evaluations": evaluations, "truth": truth, "goodness": evaluations[evaluated[-1]]}


def test_every_number_is_that_of_a_plain_loop(make_run: MakeRun) -> None:
    what = course(test=True)
    rows = analyze(make_run(**what)).to_dict()["rows"]
    assert [(row["epoch"], row["depth"], row["layer"]) for row in rows[:4]] == [
        (1, 1, "1"),
        (1, 2, "2"),
        (1, 3, "3"),
        (2, 1, "1"),
    ]
    assert len(rows) == 15
    for row in rows:
        epoch, i = row["epoch"], row["depth"] - 1
        measured = what["metrics"][epoch - 1]
        gap = measured["goodness_positive"][i] - measured["goodness_negative"][i]
        assert row["separation"] == pytest.approx(gap, rel=1e-5)
        if epoch not in what["evaluations"]:
            assert all(row[name] is None for name in ("validation", "test", "separation_mean", "separation_hardest"))
            continue
        goodness = what["evaluations"][epoch][i]
        mean, hardest = [], []
        for one, label in zip(goodness, what["truth"], strict=True):
            wrong = [g for k, g in enumerate(one) if k != label]
            mean.append(one[label] - sum(wrong) / 3)
            hardest.append(one[label] - max(wrong))
        assert row["separation_mean"] == pytest.approx(np.mean(mean), rel=1e-5)
        assert row["separation_hardest"] == pytest.approx(np.mean(hardest), rel=1e-5)
        accuracy = 100 * np.mean(goodness.argmax(axis=1) == what["truth"])
        assert (row["validation"], row["test"]) == pytest.approx((accuracy, accuracy / 2), rel=1e-5)


def test_notes_report_what_is_missing(make_run: MakeRun) -> None:
    result = analyze(make_run(**course()))
    assert any("evaluated after 2 of 5 epochs" in note for note in result.notes)
    assert any("training.test=every" in note for note in result.notes)
    assert not any("training.test=every" in note for note in analyze(make_run("t", **course(test=True))).notes)


def test_figure_is_accuracy_beside_separation(make_run: MakeRun) -> None:
    result = analyze(make_run(**course(test=True)))
    left, right = result.figure().axes
    assert (left.get_ylabel(), right.get_ylabel()) == ("test accuracy (%)", "separation")
    rows = result.to_dict()["rows"]
    assert list(left.lines[1].get_xdata()) == [2, 5]
    assert list(left.lines[1].get_ydata()) == [
        row["test"] for row in rows if row["depth"] == 2 and row["test"] is not None
    ]
    assert list(right.lines[2].get_ydata()) == [row["separation"] for row in rows if row["depth"] == 3]
    assert analyze(make_run("v", **course())).figure().axes[0].get_ylabel() == "validation accuracy (%)"


def test_without_goodness_in_training_the_figure_shows_validation(make_run: MakeRun) -> None:
    what = course()
    for row in what["metrics"]:
        row.pop("goodness_positive")
    result = analyze(make_run(**what))
    assert any("no goodness of positives and negatives" in note for note in result.notes)
    assert result.figure().axes[1].get_ylabel() == "validation separation"
    assert len(result.figure().axes[1].lines[0].get_xdata()) == 2


def test_a_layer_without_a_loss_is_named(make_run: MakeRun) -> None:
    what = course()
    for row in what["metrics"]:
        row["goodness_negative"] = np.where(np.arange(3) == 1, np.nan, row["goodness_negative"])
    assert any("no loss was ever computed on layer 2:" in note for note in analyze(make_run(**what)).notes)


def test_several_runs_have_their_labels(make_run: MakeRun) -> None:
    result = analyze(make_run("symba", plugins={"loss": "symba"}, **course()), make_run("b", **course(layers=2)))
    assert {row["run"] for row in result.to_dict()["rows"]} == {"symba", "b"}
    assert [axes.get_title(loc="left") for axes in result.figure().axes[::2]] == ["symba", "b"]


class TestClaim:
    @staticmethod
    def run(make_run: MakeRun, name: str, leads: list[int], **more: Any) -> Any:
        """Four layers, 100 images; the last layer is right on so many images more than the second, per evaluation."""
        truth, evaluations = np.arange(100) % 4, {}
        for epoch, lead in zip((1, 4, 10), leads, strict=True):
            right = np.array([20, 50, 50, 50 + lead])
            named = np.where(np.arange(100) < right[:, None], truth, (truth + 1) % 4)
            evaluations[epoch] = np.eye(4)[named]
        metrics = [{"goodness_positive": np.ones(4), "goodness_negative": np.zeros(4)} for _ in range(10)]
        what = {"evaluations": evaluations, "metrics": metrics, "goodness": evaluations[10], "truth": truth}
        return make_run(name, **what, **{"plugins": DEEP, **more})

    @pytest.mark.parametrize(
        ("leads", "agrees"),
        [([0, 0, 20], True), ([0, 20, 0], False), ([0, 20, 21], None), ([0, 0, 4], None), ([9, 0, 0], None)],
    )
    def test_lead_must_grow_after_two_fifths_of_the_epochs(
        self, make_run: MakeRun, leads: list[int], agrees: bool | None
    ) -> None:
        (claim,) = analyze(self.run(make_run, "r", leads)).claims
        assert claim.agrees is agrees
        assert f"layer 4 over 2: {leads[1]:+.2f} points after 4 epochs, {leads[2]:+.2f} points after 10" in claim.here

    def test_other_settings_are_not_compared_with_the_paper(self, make_run: MakeRun) -> None:
        assert not analyze(self.run(make_run, "r", [0, 0, 20], plugins={"loss": "symba"})).claims

    def test_too_few_evaluations_are_inconclusive(self, make_run: MakeRun) -> None:
        (claim,) = analyze(make_run(plugins=DEEP, **course(layers=4))).claims
        assert claim.agrees is None
        assert "4 layers and 2 evaluations are too few" in claim.here


def test_unfinished_run_shows_its_committed_epochs(make_run: MakeRun) -> None:
    result = analyze(make_run(finish=False, **course()))
    assert len(result.rows) == 15
    assert "the run is unfinished; the file has 5 epochs" in result.notes[0]


def test_no_epoch_yet_is_refused(make_run: MakeRun) -> None:
    with pytest.raises(ffprobe.FileError, match=r"The file has no epoch yet.*run\.h5\.partial"):
        analyze(make_run(finish=False, metrics=[]))


def test_without_a_validation_set_separation_in_training_is_left(make_run: MakeRun) -> None:
    what = course() | {"evaluations": {}}
    result = analyze(make_run(**what))
    assert all(row["separation_mean"] is None and row["separation"] for row in result.to_dict()["rows"])
