"""Does depth pay: gains, delays and correlations, from the file alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ffprobe_plugins.probes.depth import Depth
from scipy import stats

import ffprobe

MakeRun = Callable[..., Any]
DEEP = {"loss": "symba", "normalizer": "batchnorm", "scheduler": "olu", "network": "tff-d"}

ADAMSON = {"network": "fcn", "dataset": "mnist"}


def analyze(*runs: Any, **params: Any) -> Any:
    return Depth(Depth.Params(**params)).analyze(list(runs))


def goodness_of(right: list[int], samples: int = 100) -> np.ndarray:
    """Goodness ``[layer, sample, 4]`` in which layer ``i`` names the first ``right[i]`` samples and no other."""
    truth = np.arange(samples) % 4
    named = np.where(np.arange(samples) < np.array(right)[:, None], truth, (truth + 1) % 4)
    return np.eye(4)[named]


def trained(course: list[list[int] | None], model: list[int] | None = None, samples: int = 100) -> dict[str, Any]:
    """A run in which layers are right on so many samples after each epoch; None is an epoch without evaluation."""
    evaluations, metrics = {}, []
    for epoch, right in enumerate(course, 1):
        row: dict[str, Any] = {"loss": np.ones(len(course[-1] or []))}
        if right is not None:
            evaluations[epoch] = goodness_of(right, samples)
            row["validation_accuracy"] = np.array(right) / samples
            row["model_validation_accuracy"] = (right[-1] if model is None else model[epoch - 1]) / samples
        metrics.append(row)
    truth = np.arange(samples) % 4
    return {
        "evaluations": evaluations,
        "metrics": metrics,
        "goodness": goodness_of(course[-1] or [], samples),
        "truth": truth,
    }


def test_gains_over_the_layer_before_and_the_middle_one(make_run: MakeRun) -> None:
    rows = analyze(make_run(**trained([[10] * 5, [20, 50, 45, 60, 80]]))).to_dict()["rows"]
    assert [row["accuracy"] for row in rows] == pytest.approx([20, 50, 45, 60, 80])
    assert [row["gain"] for row in rows] == [None, *map(pytest.approx, (30, -5, 15, 20))]
    assert [row["over_middle"] for row in rows] == [pytest.approx(-30), None, *map(pytest.approx, (-5, 10, 30))]
    # 30 of 100 images gained and none lost: a binomial with n - 1
    assert rows[1]["gain_se"] == pytest.approx(100 * (0.3 * 0.7 / 99) ** 0.5)


def test_the_epoch_of_learning_and_how_exactly_it_is_known(make_run: MakeRun) -> None:
    run = make_run(**trained([[50, 10], None, [91, 50], None, None, [89, 90], [100, 100]]))
    rows = analyze(run).to_dict()["rows"]
    assert [(row["epoch"], row["not_by"]) for row in rows] == [(3, 1), (6, 3)]
    assert [row["epoch"] for row in analyze(run, reach=50).to_dict()["rows"]] == [1, 3]
    assert [row["not_by"] for row in analyze(run, reach=50).to_dict()["rows"]] == [0, 1]
    assert any("every 1 to 3 epochs" in note for note in analyze(run).notes)
    every = analyze(make_run("e", **trained([[1], [2], [3]])))
    assert any("evaluated every epoch," in note for note in every.notes)


def test_correlation_over_epochs_is_scipys(make_run: MakeRun) -> None:
    course, model = [[10, 60], [30, 50], [20, 80], [40, 70]], [15, 40, 35, 50]
    rows = analyze(make_run(**trained(course, model))).to_dict()["rows"]
    for i, row in enumerate(rows):
        assert row["correlation"] == pytest.approx(stats.pearsonr([c[i] for c in course], model).statistic, rel=1e-5)


def test_a_constant_layer_has_no_correlation_and_is_named(make_run: MakeRun) -> None:
    result = analyze(make_run(**trained([[10, 60], [10, 50], [10, 80]])))
    assert [row["correlation"] for row in result.to_dict()["rows"]] == [None, pytest.approx(1)]
    assert any("layer 1 or the model never changed" in note for note in result.notes)
    result = analyze(make_run("two", **trained([[10, 60], [20, 50]])))
    assert all(row["correlation"] is None for row in result.to_dict()["rows"])
    assert any("fewer than three evaluations" in note for note in result.notes)


def test_correlation_over_runs_needs_three_of_a_depth(make_run: MakeRun) -> None:
    finals, models = [[10, 60, 5], [30, 50, 5], [20, 90, 5], [50, 80, 5]], [20, 25, 40, 45]
    runs = [
        make_run(f"r{i}", seed=i, **trained([final, final], [model, model]))
        for i, (final, model) in enumerate(zip(finals, models, strict=True))
    ]
    result = analyze(*runs)
    rows = [row for row in result.to_dict()["rows"] if row["run"] == "mean of 4"]
    for i in range(2):
        expected = stats.pearsonr([final[i] for final in finals], models).statistic
        assert rows[i]["over_runs"] == pytest.approx(expected, rel=1e-5)
    assert rows[2]["over_runs"] is None
    assert any("no correlation over runs" in note for note in result.notes)
    assert rows[0]["accuracy"] == pytest.approx(27.5)
    two = analyze(*runs[:2])
    assert any("need three runs" in note for note in two.notes)
    assert not any(row["run"].startswith("mean") for row in two.to_dict()["rows"])
    other = analyze(*runs[:2], make_run("x", plugins={"loss": "symba"}, **trained([[1, 2, 3], [4, 5, 6]])))
    assert any("differ in more than the seed" in note for note in other.notes)


class TestClaims:
    def claim(self, result: Any, word: str) -> Any:
        found = [claim for claim in result.claims if word in claim.said]
        return found[0] if found else None

    @pytest.mark.parametrize(
        ("final", "agrees"),
        [
            ([20, 40, 60, 80], True),
            ([20, 80, 60, 90], False),  # layer 3 falls back
            ([20, 60, 60, 40], False),
            ([20, 60, 60, 61], None),
            ([20, 60, 60, 60], None),  # 100 images cannot show that the gain is below a point
            ([200, 600, 600, 600], False),  # 1,000 images can
            ([20, 60, 60, 64], None),  # 4 images gained and 0 lost: p = 0.125
            ([20, 40, 80], None),
        ],
    )
    def test_every_further_layer_gains(self, make_run: MakeRun, final: list[int], agrees: bool | None) -> None:
        what = trained([final, final], samples=1000 if max(final) > 100 else 100)
        assert self.claim(analyze(make_run(plugins=DEEP, **what)), "every further layer").agrees is agrees
        assert self.claim(analyze(make_run("o", **what)), "every further layer") is None

    @pytest.mark.parametrize(
        ("course", "agrees"),
        [
            ([[99, 10], [99, 99], [99, 99]], True),
            ([[10, 99], [99, 99], [99, 99]], False),
            ([[99, 99], [99, 99], [99, 99]], None),
            ([[10, 10], [99, 99], [99, 99]], None),
            ([[10], [99]], None),
        ],
    )
    def test_deeper_layers_are_later(self, make_run: MakeRun, course: Any, agrees: bool | None) -> None:
        run = make_run(plugins=ADAMSON, **trained(course))
        assert self.claim(analyze(run), "improve later").agrees is agrees

    def test_runs_that_differ_only_in_the_seed_are_tested_over_seeds(self, make_run: MakeRun) -> None:
        steady = [make_run(f"s{i}", seed=i, plugins=DEEP, **trained([[20, 40, 50, 59 + i]] * 2)) for i in range(3)]
        claim = self.claim(analyze(*steady), "every further layer")
        assert claim.agrees is True and claim.p == pytest.approx(stats.ttest_1samp([19, 20, 21], 0).pvalue)
        mixed = [make_run(f"m{i}", seed=i, plugins=DEEP, **trained([[20, 40, 50, 42 + 20 * i]] * 2)) for i in range(3)]
        assert self.claim(analyze(*mixed), "every further layer").agrees is None  # each run alone would agree twice

    def test_another_network_data_set_or_training_length_is_not_comparable(self, make_run: MakeRun) -> None:
        for name, plugins, reason in (
            ("n", {"network": "tff-s"}, "another network (tff-s)"),
            ("d", {"dataset": "digits"}, "another data set (digits)"),
        ):
            run = make_run(name, plugins={**DEEP, **plugins}, **trained([[20, 40, 60, 80]] * 2))
            claim = self.claim(analyze(run), "every further layer")
            assert (claim.verdict, claim.agrees, claim.not_comparable) == ("not comparable", None, reason)
        short = make_run("e", finish=False, plugins=DEEP, **trained([[20, 40, 60, 80]] * 2))
        assert self.claim(analyze(short), "every further layer").not_comparable == "2 of 500 epochs"

    def test_a_collapsed_network_confirms_nothing(self, make_run: MakeRun) -> None:
        claim = self.claim(analyze(make_run(plugins=DEEP, **trained([[0, 2, 9, 30]] * 2))), "every further layer")
        assert claim.verdict == "inconclusive" and "has collapsed (30.0 % in its best layer" in claim.here

    @pytest.mark.parametrize("plugins", [{"rule": "backprop"}, {"loss": "cross-entropy"}])
    def test_other_learning_is_not_compared(self, make_run: MakeRun, plugins: dict[str, str]) -> None:
        result = analyze(make_run(plugins=plugins, **trained([[1, 2], [3, 4]])))
        assert not result.claims
        assert not any("In the claims" in note for note in result.notes)

    @pytest.mark.parametrize(
        ("first", "agrees"),
        [
            ([10, 20, 30, 40, 50], True),
            ([50, 40, 30, 20, 10], False),
            ([10, 40, 20, 30, 10], None),
            ([10, 40, 20, 30, 10, 40, 20, 30, 10, 20], False),
        ],
    )
    def test_shallow_layers_go_with_the_model(self, make_run: MakeRun, first: list[int], agrees: bool | None) -> None:
        runs = [
            make_run(f"r{i}", seed=i, plugins=ADAMSON, **trained([[one, 50 + i], [one, 50 + i]]))
            for i, one in enumerate(first)
        ]
        claim = self.claim(analyze(*runs), "strongly correlated")
        assert claim.agrees is agrees
        assert f"over {len(first)} runs" in claim.here


def test_figure_shows_gain_epoch_and_correlation(make_run: MakeRun) -> None:
    result = analyze(make_run(**trained([[10, 60, 20], [30, 50, 30], [20, 80, 90]])))
    rows, axes = result.to_dict()["rows"], result.figure().axes
    drawn = [list(one.containers[0].lines[0].get_ydata()) for one in axes]
    assert drawn == [[row[name] for row in rows if row[name] is not None] for name in ("gain", "epoch", "correlation")]


def test_unfinished_run_is_evaluated_on_validation(make_run: MakeRun) -> None:
    result = analyze(make_run(finish=False, **trained([[10, 60], [20, 50]])))
    assert "the run is unfinished; final means after epoch 2" in result.notes[0]
    assert any("100 validation images" in note for note in result.notes)


class TestRefusals:
    def test_never_evaluated(self, make_run: MakeRun) -> None:
        with pytest.raises(ffprobe.FileError, match=r"measured no accuracy.*run\.h5"):
            analyze(make_run(evaluations={}, metrics=[{"loss": np.ones(3)}]))

    def test_hidden_layers_of_backpropagation_have_no_goodness(self, make_run: MakeRun) -> None:
        what = trained([[10, 60], [20, 50]])
        for row in what["metrics"]:
            row["validation_accuracy"][0] = np.nan
        with pytest.raises(ffprobe.FileError, match=r"Layer 1 has no goodness of its own.*run\.h5.*local rule"):
            analyze(make_run(**what))

    def test_diverged(self, make_run: MakeRun) -> None:
        what = trained([[10, 60], [20, 50]])
        what["goodness"] = what["goodness"] * np.nan
        with pytest.raises(ffprobe.FileError, match=r"NaN or infinity.*test/goodness of .*run\.h5"):
            analyze(make_run(**what))
