"""Figures 5, 6 and 9: how large goodness gets, from the file alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ffprobe_plugins.probes.goodness import Goodness

import ffprobe

MakeRun = Callable[..., Any]
DEEP = {"loss": "symba", "normalizer": "batchnorm", "scheduler": "olu", "network": "tff-d"}


def analyze(*runs: Any, **params: Any) -> Any:
    return Goodness(Goodness.Params(**params)).analyze(list(runs))


def measured(tops: dict[int, list[float]], epochs: int = 6) -> dict[str, Any]:
    """Runs whose largest validation goodness in each layer is ``tops``, by epoch, and on the test set the last."""
    layers = len(next(iter(tops.values())))
    random, evaluations = np.random.default_rng(0), {}
    for epoch, top in tops.items():
        goodness = 0.01 * random.random((layers, 12, 4))
        goodness[:, np.arange(12), np.arange(12) % 4] += 0.02  # not collapsed
        goodness[:, 5, 2] = top
        evaluations[epoch] = goodness
    metrics = [
        {"goodness_positive": 2 + epoch + np.arange(layers), "goodness_negative": 0.5 + np.arange(layers) / 10}
        for epoch in range(1, epochs + 1)
    ]
    last = evaluations[max(evaluations)]
    return {"evaluations": evaluations, "metrics": metrics, "goodness": last, "truth": np.arange(12) % 4}


def cells(result: Any, column: str) -> dict[tuple[int, int], float]:
    return {(row["epoch"], row["depth"]): row[column] for row in result.to_dict()["rows"] if row[column] is not None}


def test_means_maxima_and_where_they_stand(make_run: MakeRun) -> None:
    result = analyze(make_run(**measured({1: [3, 1], 2: [4, 2], 3: [5, 3], 4: [6, 9], 6: [7, 8]})))
    assert cells(result, "positive")[4, 2] == 7
    assert cells(result, "negative")[4, 2] == pytest.approx(0.6)
    # first, middle (the third of five) and last evaluation
    assert cells(result, "maximum") == {(1, 1): 3, (1, 2): 1, (3, 1): 5, (3, 2): 3, (6, 1): 7, (6, 2): 8}
    assert cells(result, "test_maximum") == {(6, 1): 7, (6, 2): 8}
    assert "goodness is mean-square." in result.notes
    assert any("The scale depends" in note for note in result.notes)


def test_epochs_are_chosen_and_refused_by_name(make_run: MakeRun) -> None:
    run = make_run(**measured({1: [3, 1], 3: [5, 3], 6: [7, 8]}))
    assert set(cells(analyze(run, epochs=[3]), "maximum")) == {(3, 1), (3, 2)}
    with pytest.raises(ffprobe.UsageError, match=r"not evaluated after epoch 2, 5\..*run\.h5.*epochs are 1, 3, 6"):
        analyze(run, epochs=[5, 2, 3])


@pytest.mark.parametrize(("evaluated", "chosen"), [((6,), {6}), ((3, 6), {3, 6}), ((1, 2, 3, 6), {1, 2, 6})])
def test_few_evaluations_are_all_chosen(make_run: MakeRun, evaluated: tuple[int, ...], chosen: set[int]) -> None:
    result = analyze(make_run(**measured({epoch: [1, 2] for epoch in evaluated})))
    assert {epoch for epoch, _ in cells(result, "maximum")} == chosen


def test_figure_shows_the_two_means_and_the_maxima(make_run: MakeRun) -> None:
    result = analyze(make_run(**measured({1: [3, 1, 2], 3: [5, 3, 1], 6: [7, 8, 9]})))
    positive, negative, maximum = result.figure().axes
    assert [axes.get_ylabel() for axes in (positive, negative)] == ["positive goodness", "negative goodness"]
    assert list(positive.lines[1].get_ydata()) == [4, 5, 6, 7, 8, 9]
    drawn = [list(line.get_ydata()) for line in maximum.lines if len(line.get_xdata()) == 3]
    assert drawn == [[3, 1, 2], [5, 3, 1], [7, 8, 9], [7, 8, 9]]


def test_several_runs_are_compared_at_their_end(make_run: MakeRun) -> None:
    runs = [
        make_run(n, plugins={"normalizer": n}, **measured({1: [1, 1], 6: top}))
        for n, top in (("none", [2, 3]), ("length", [4, 5]))
    ]
    figure = analyze(*runs).figure()
    drawn = [list(line.get_ydata()) for line in figure.axes[-1].lines if len(line.get_xdata()) == 2]
    assert drawn == [[2, 3], [4, 5]]
    assert len(figure.axes) == 5


class TestClaims:
    def claim(self, result: Any, word: str) -> Any:
        found = [claim for claim in result.claims if word in claim.said]
        return found[0] if found else None

    @pytest.mark.parametrize(
        ("top", "agrees"), [([9, 9, 9, 1, 1], True), ([1, 1, 1, 1, 9], False), ([9, 1, 1, 1], None)]
    )
    def test_early_layers_reach_higher(self, make_run: MakeRun, top: list[float], agrees: bool | None) -> None:
        result = analyze(make_run(plugins=DEEP, **measured({6: top})))
        assert self.claim(result, "first three layers").agrees is agrees
        assert (
            self.claim(
                analyze(make_run("o", plugins={"loss": "symba", "network": "tff-d"}, **measured({6: top}))),
                "first three",
            )
            is None
        )

    @pytest.mark.parametrize(("last", "agrees"), [([1.9, 1, 50], True), ([2.1, 1, 1], False)])
    def test_growth_is_by_less_than_two_but_in_the_last_layer(
        self, make_run: MakeRun, last: list[float], agrees: bool
    ) -> None:
        result = analyze(
            make_run(
                plugins={"loss": "symba", "network": "tff-d"}, **measured({1: [9, 9, 9], 9: [1, 1, 1], 20: last}, 20)
            )
        )
        assert self.claim(result, "longer training").agrees is agrees
        early = analyze(
            make_run("e", plugins={"loss": "symba", "network": "tff-d"}, **measured({9: [1, 1, 1], 19: last}, 19))
        )
        assert self.claim(early, "longer training").agrees is None

    def test_one_evaluation_is_inconclusive_about_growth(self, make_run: MakeRun) -> None:
        assert (
            self.claim(
                analyze(make_run(plugins={"loss": "symba", "network": "tff-d"}, **measured({6: [1, 1]}))), "longer"
            ).agrees
            is None
        )

    @pytest.mark.parametrize(("length", "agrees"), [([1, 9], True), ([1, 1.5], False)])
    def test_batchnorm_is_more_even(self, make_run: MakeRun, length: list[float], agrees: bool) -> None:
        tops = {"batchnorm": [2, 4], "length": length}
        runs = [
            make_run(n, plugins={"loss": "symba", "normalizer": n, "network": "fcn"}, **measured({6: top}))
            for n, top in tops.items()
        ]
        claim = self.claim(analyze(*runs), "varies less")
        assert claim.agrees is agrees
        assert "batchnorm 2" in claim.here
        assert self.claim(analyze(runs[0]), "varies less") is None

    def test_fixed_threshold_is_not_compared_with_symba(self, make_run: MakeRun) -> None:
        assert not analyze(make_run(**measured({1: [1, 1], 6: [1, 1]}))).claims


def test_what_is_missing_is_reported(make_run: MakeRun) -> None:
    what = measured({6: [1, 2]}) | {"evaluations": {}}
    what["metrics"] = [{"loss": np.ones(2)} for _ in range(6)]
    result = analyze(make_run(**what))
    for word in ("no goodness of positives", "no validation goodness"):
        assert any(word in note for note in result.notes)
    assert [axes.get_ylabel() for axes in result.figure().axes] == ["largest goodness"]
    assert any("test set was not evaluated" in note for note in analyze(make_run("v", test=False)).notes)
    with pytest.raises(ffprobe.FileError, match=r"The run measured no goodness.*none\.h5"):
        analyze(make_run("none", test=False, **what))


def test_unfinished_run_shows_its_committed_epochs(make_run: MakeRun) -> None:
    result = analyze(make_run(finish=False, **measured({1: [1, 2], 6: [3, 4]})))
    assert "the run is unfinished; the file has 6 epochs" in result.notes[0]
    assert not cells(result, "test_maximum")
    with pytest.raises(ffprobe.FileError, match="The file has no epoch yet"):
        analyze(make_run("n", finish=False, metrics=[]))
