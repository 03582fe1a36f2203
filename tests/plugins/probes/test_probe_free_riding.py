"""Free riding from recorded goodness; the arithmetic itself is tested in tests/analysis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ffprobe_plugins.probes.free_riding import FreeRiding

import ffprobe

MakeRun = Callable[..., Any]


def analyze(*runs: Any, **params: Any) -> Any:
    return FreeRiding(FreeRiding.Params(**params)).analyze(list(runs))


def measured(means: list[float], samples: int = 15) -> dict[str, Any]:
    """Goodness whose mean margin is about ``means``, with noise."""
    random, truth = np.random.default_rng(0), np.arange(samples) % 4
    goodness = random.normal(size=(len(means), samples, 4)) * 0.3
    goodness[:, np.arange(samples), truth] += np.array(means)[:, None]
    return {"goodness": goodness, "truth": truth, "evaluations": {1: goodness * 0, 2: goodness}}


def test_numbers_are_the_definition_over_every_wrong_label(make_run: MakeRun) -> None:
    what = measured([0.5, 1.0, 1.5])
    rows = analyze(make_run(**what), beta=4, gamma=0.7).to_dict()["rows"]
    for d, row in enumerate(rows):
        left, own, covered = [], [], []
        for n, label in enumerate(what["truth"]):
            for wrong in set(range(4)) - {int(label)}:
                m = [float(g[n, label] - g[n, wrong]) for g in what["goodness"].astype("f4").astype(float)]
                p = sum(m[:d])
                left.append((1 + np.exp(4 * m[d])) / (1 + np.exp(4 * (m[d] + 0.7 * p))))
                own.append(m[d])
                covered.append(m[d] >= 0 and p >= 0)
        assert row["free_riding"] == pytest.approx(np.mean(1 - np.minimum(1, left)), abs=1e-9)
        assert row["median_r"] == pytest.approx(np.median(left))
        assert row["starved"] == pytest.approx(100 * np.mean(np.array(left) <= 0.01))
        assert row["coverage"] == pytest.approx(100 * np.mean(covered))
        assert row["margin"] == pytest.approx(np.mean(own))
    assert rows[0]["free_riding"] == 0
    assert rows[2]["before"] == pytest.approx(rows[0]["margin"] + rows[1]["margin"])


@pytest.mark.parametrize(
    ("loss", "params", "expected"),
    [
        ({"alpha": 6.0}, {}, (6, 1)),
        ({}, {}, (4, 1)),
        ({"alpha": 6.0}, {"beta": 2, "gamma": 0.5}, (2, 0.5)),
        ({"beta": 3.0, "gamma": 0.7}, {}, (3, 0.7)),
        ({"alpha": 6.0}, {"gamma": 0}, (6, 0)),
    ],
)
def test_slope_and_weight_come_from_the_run_unless_given(
    make_run: MakeRun, loss: dict[str, float], params: dict[str, float], expected: tuple[float, float]
) -> None:
    result = analyze(make_run(settings={"loss": loss}, **measured([1, 1])), **params)
    (document,) = result.extra["runs"]
    assert (document["beta"], document["gamma"]) == expected
    assert any(
        f"beta = {expected[0]}, gamma = {expected[1]}; 15 validation images times 3" in note for note in result.notes
    )
    assert any("no slope for pairs" in note for note in result.notes) is (not loss)


def test_a_note_explains_the_number_without_a_cumulative_loss(make_run: MakeRun) -> None:
    hypothetical = analyze(make_run(**measured([1, 1])))
    assert any("trained without a cumulative loss" in n and "no signal was lost" in n for n in hypothetical.notes)
    real = analyze(make_run("c", settings={"loss": {"gamma": 0.7}}, **measured([1, 1])))
    assert not any("trained without" in note for note in real.notes)
    other = analyze(make_run("d", settings={"loss": {"gamma": 0.7}}, **measured([1, 1])), gamma=1)
    assert any("trained with gamma = 0.7" in note for note in other.notes)


BLOCKS = {"network": "attention-blocks"}


class TestClaims:
    @pytest.mark.parametrize(("means", "expected"), [([1, 2, 3], True), ([1, 3, 2], False), ([1, 2], None)])
    def test_margins_rise_without_earlier_ones(
        self, make_run: MakeRun, means: list[float], expected: bool | None
    ) -> None:
        run = make_run(plugins=BLOCKS, settings={"loss": {"alpha": 4}}, **measured(means))
        taken, rises = analyze(run).claims
        assert rises.agrees is expected
        assert taken.agrees is None
        assert "not trained with" in taken.here

    @pytest.mark.parametrize(("means", "expected"), [([3, 3, 3], True), ([0.5, 0.5, 0.5], False), ([0, 0, 0], None)])
    def test_most_of_the_signal_is_removed_by_a_cumulative_loss(
        self, make_run: MakeRun, means: list[float], expected: bool
    ) -> None:
        run = make_run(plugins=BLOCKS, settings={"loss": {"beta": 4, "gamma": 0.7}}, **measured(means))
        (claim,) = analyze(run).claims
        assert claim.agrees is expected

    def test_a_loss_without_margins_is_not_compared(self, make_run: MakeRun) -> None:
        (claim,) = analyze(make_run(**measured([1, 2, 3])), beta=4).claims
        assert claim.agrees is None

    def test_a_single_layer_claims_nothing(self, make_run: MakeRun) -> None:
        assert not analyze(make_run(**measured([1]))).claims


def test_figure_shows_the_columns_by_layer(make_run: MakeRun) -> None:
    runs = [make_run(n, plugins={"normalizer": n}, **measured(m)) for n, m in (("none", [1, 2]), ("length", [2, 1]))]
    result = analyze(*runs)
    for axes, name in zip(result.figure().axes, ("free_riding", "starved", "margin"), strict=True):
        drawn = [list(container.lines[0].get_ydata()) for container in axes.containers]
        assert drawn == [
            [row[name] for row in result.to_dict()["rows"] if row["run"] == label] for label in ("none", "length")
        ]


class TestRefusals:
    def test_no_validation(self, make_run: MakeRun) -> None:
        with pytest.raises(
            ffprobe.FileError, match=r"The file has no validation goodness.*run\.h5.*training\.validation"
        ):
            analyze(make_run(evaluations={}))

    def test_diverged(self, make_run: MakeRun) -> None:
        what = measured([1, 1, 1])
        what["evaluations"][2] = what["goodness"] * np.array([1, np.nan, np.inf])[:, None, None]
        with pytest.raises(ffprobe.FileError, match=r"layer 2, 3 is NaN or infinite.*evaluation/goodness of .*run\.h5"):
            analyze(make_run(**what))


def test_unfinished_run_uses_its_last_evaluation(make_run: MakeRun) -> None:
    assert any("after epoch 2" in note for note in analyze(make_run(finish=False, **measured([1, 1]))).notes)
