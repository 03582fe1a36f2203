"""Goodness as a probability; the arithmetic itself is tested in tests/analysis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ffprobe_plugins.probes.calibration import Calibration
from scipy.special import softmax
from sklearn.metrics import log_loss

import ffprobe

MakeRun = Callable[..., Any]


def analyze(*runs: Any, **params: Any) -> Any:
    return Calibration(Calibration.Params(**params)).analyze(list(runs))


def sampled(factors: list[float], samples: int = 400, seed: int = 0) -> dict[str, Any]:
    """Labels drawn from the softmax of scores, which every layer sees times a factor of its own."""
    random = np.random.default_rng(seed)
    scores = 2 * random.normal(size=(samples, 4))
    truth = np.minimum((random.random((samples, 1)) > softmax(scores, axis=1).cumsum(axis=1)).sum(axis=1), 3)
    return {"goodness": np.array(factors)[:, None, None] * scores, "truth": truth}


def test_each_layer_gets_the_temperature_that_undoes_its_scale(make_run: MakeRun) -> None:
    what = sampled([1, 5, 0.1])
    rows = analyze(make_run(**what)).to_dict()["rows"]
    one = rows[0]["temperature"]
    assert one == pytest.approx(1, rel=0.2)
    assert [row["temperature"] for row in rows] == pytest.approx([one, 5 * one, 0.1 * one], rel=1e-3)
    for row, factor in zip(rows, (1, 5, 0.1), strict=True):
        p = softmax(what["goodness"][row["depth"] - 1] / row["temperature"], axis=1)
        assert row["nll"] == pytest.approx(log_loss(what["truth"], p), rel=1e-4)
        assert row["nll_raw"] == pytest.approx(
            log_loss(what["truth"], softmax(what["goodness"][row["depth"] - 1], axis=1)), rel=1e-4
        )
        assert row["ece"] < row["ece_raw"] or factor == 1
        assert row["accuracy"] == rows[0]["accuracy"]
    assert rows[1]["ece_raw"] > 3 * rows[1]["floor"]


def test_it_is_fitted_on_validation_and_scored_on_test(make_run: MakeRun) -> None:
    what, other = sampled([1.0]), sampled([7.0], seed=1)
    result = analyze(make_run(**what, evaluations={1: what["goodness"], 2: 3 * what["goodness"]}))
    assert result.to_dict()["rows"][0]["temperature"] == pytest.approx(3, rel=0.2)  # that of the last evaluation
    assert result.to_dict()["rows"][0]["nll_raw"] == pytest.approx(
        log_loss(what["truth"], softmax(what["goodness"][0], axis=1)), rel=1e-4
    )  # test
    assert "fitted on 400 validation images, scored on 400 test images." in result.notes
    assert analyze(make_run("o", **other)).to_dict()["rows"][0]["temperature"] == pytest.approx(7, rel=0.2)


def test_without_the_test_set_halves_of_validation_are_used(make_run: MakeRun) -> None:
    run = make_run(test=False, **sampled([2.0], samples=401))
    result = analyze(run)
    assert any("fitted on 200 validation images, scored on the other 201" in note for note in result.notes)
    assert result.to_dict() == analyze(run).to_dict()
    assert result.to_dict()["rows"] != analyze(run, seed=1).to_dict()["rows"]
    # a half that fits must not be the one that scores: the sum of both halves' right answers is that of all
    what = sampled([2.0], samples=401)
    whole = (what["goodness"][0].argmax(axis=1) == what["truth"]).sum()
    order = np.random.default_rng(0).permutation(401)
    fit = (what["goodness"][0].argmax(axis=1) == what["truth"])[order[:200]].sum()
    assert result.to_dict()["rows"][0]["accuracy"] == pytest.approx(100 * (whole - fit) / 201)


def test_the_evaluator_has_a_row_where_it_reads_several_layers(make_run: MakeRun) -> None:
    what = sampled([1, 2, 3])
    run = make_run(settings={"evaluator": {"layers": "last-2"}}, **what)
    rows = analyze(run).to_dict()["rows"]
    assert [(row["depth"], row["layer"]) for row in rows[2:]] == [(3, "3"), (None, "layer-goodness")]
    assert rows[3]["nll_raw"] == pytest.approx(
        log_loss(what["truth"], softmax(what["goodness"][1:].mean(axis=0), axis=1)), rel=1e-4
    )
    assert len(analyze(make_run("l", **what)).to_dict()["rows"]) == 3


def test_the_evaluator_that_is_not_installed_is_left_out(make_run: MakeRun) -> None:
    result = analyze(make_run(plugins={"evaluator": "somebodys"}, **sampled([1, 2])))
    assert len(result.rows) == 2
    assert any("evaluator is not installed" in note for note in result.notes)
    result = analyze(make_run("s", settings={"evaluator": {"unknown": 1}}, **sampled([1, 2])))
    assert any("evaluator is not installed" in note for note in result.notes)


def test_no_temperature_is_no_number_and_says_why(make_run: MakeRun) -> None:
    truth = np.arange(40) % 4
    perfect = np.stack([np.eye(4)[truth], np.random.default_rng(0).normal(size=(40, 4)), np.ones((40, 4))])
    result = analyze(make_run(goodness=perfect, truth=truth))
    first, _, third = result.to_dict()["rows"]
    for row in (first, third):
        assert all(row[name] is None for name in ("temperature", "nll", "ece", "ece_mass", "brier"))
        assert row["nll_raw"] > 0
    assert any("layer 1 has no temperature: every label is right" in note for note in result.notes)
    assert any("layer 3 has no temperature: all labels have the same score" in note for note in result.notes)
    result.figure()


def test_a_layer_without_goodness_has_no_numbers(make_run: MakeRun) -> None:
    result = analyze(make_run(**sampled([np.nan, 1])))
    first, second = result.to_dict()["rows"]
    assert all(first[name] is None for name in first if name not in ("depth", "layer"))
    assert second["temperature"] == pytest.approx(1, rel=0.2)
    assert "the goodness of layer 1 is NaN or infinite." in result.notes


def test_the_slope_of_symba_is_a_temperature(make_run: MakeRun) -> None:
    result = analyze(make_run(plugins={"loss": "symba"}, settings={"loss": {"alpha": 4.0}}, **sampled([1])))
    assert any("which is a temperature of 0.25" in note for note in result.notes)


def test_the_figure_shows_the_selected_layer(make_run: MakeRun) -> None:
    run = make_run(**sampled([1, 5]))
    for layer, factor in ((1, 1), (2, 5), (0, 5)):
        left, right = analyze(run, layer=layer).figure().axes
        assert left.get_title(loc="left") == "temperature 1"
        temperature = float(right.get_title(loc="left").removeprefix("temperature "))
        assert temperature == pytest.approx(factor, rel=0.2)
        bars = [patch.get_height() for patch in left.patches]
        assert sum(bars) == pytest.approx(100)
    other = make_run("o", plugins={"normalizer": "none"}, **sampled([2]))
    figure = analyze(run, other).figure()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["run", "o"]


class TestRefusals:
    def test_a_layer_that_is_not_there(self, make_run: MakeRun) -> None:
        with pytest.raises(ffprobe.UsageError, match="Layer 3 does not exist; the network has 2 layers"):
            analyze(make_run(**sampled([1, 2])), layer=3)

    def test_nothing_to_read(self, make_run: MakeRun) -> None:
        with pytest.raises(ffprobe.FileError, match=r"goodness of fewer than 4 images.*run\.h5"):
            analyze(make_run(test=False, evaluations={}))

    def test_the_layer_drawn_has_no_goodness(self, make_run: MakeRun) -> None:
        what = sampled([1, np.nan])
        with pytest.raises(ffprobe.FileError, match=r"The goodness of layer 2 is NaN.*run\.h5.*layer=1"):
            analyze(make_run(**what))


def test_test_set_alone_has_nothing_to_fit_on(make_run: MakeRun) -> None:
    result = analyze(make_run(evaluations={}, **sampled([1])))
    (row,) = result.to_dict()["rows"]
    assert row["temperature"] is None
    assert row["nll_raw"] > 0
    assert any("nothing to fit on" in note for note in result.notes)


def test_unfinished_run_is_scored_on_validation(make_run: MakeRun) -> None:
    result = analyze(make_run(finish=False, **sampled([1])))
    assert "the run is unfinished; the file has 2 epochs" in result.notes[0]
    assert any("scored on the other 200" in note for note in result.notes)
