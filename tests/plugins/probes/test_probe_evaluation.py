"""Table 3 and Appendix H: each way to make a prediction, compared with the last layer on the same images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ffprobe_plugins.probes.evaluation import Evaluation
from toy import toy_config

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.training.session import Session

MakeRun = Callable[..., Any]
TRIFECTA = {"loss": "symba", "normalizer": "batchnorm", "scheduler": "olu"}


def goodness_of(shares: list[float], samples: int = 400) -> dict[str, np.ndarray]:
    """Goodness in which layer ``i`` names a random ``shares[i]`` of the samples, ten times surer in later layers."""
    random, truth = np.random.default_rng(0), np.arange(samples) % 4
    goodness = 0.01 * random.random((len(shares), samples, 4))
    for layer, share in enumerate(shares):
        named = np.where(random.random(samples) < share, truth, (truth + 1) % 4)
        goodness[layer, np.arange(samples), named] += 10.0**layer
    return {"goodness": goodness, "truth": truth}


def rows_of(result: Any) -> dict[str, dict[str, Any]]:
    return {row["strategy"]: row for row in result.to_dict()["rows"]}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    registry = Registry()
    out = tmp_path_factory.mktemp("run") / "run.h5"
    Session.start(toy_config(registry, "olu", "batchnorm", "symba", "evaluation"), registry, out).run()
    return out


def test_accuracies_are_those_of_the_goodness(make_run: MakeRun) -> None:
    given = goodness_of([0.5, 0.6, 0.7, 0.8, 0.9])
    run = make_run(attributes={"layer_multiply_adds": [10, 160, 1500, 50, 10]}, **given)
    rows = rows_of(Evaluation().analyze([run]))
    goodness, truth = given["goodness"], given["truth"]
    for strategy, layers in (("last layer", [4]), ("last 3", [2, 3, 4]), ("all but first", [1, 2, 3, 4])):
        right = 100 * (goodness[layers].mean(0).argmax(1) == truth).mean()
        assert rows[strategy]["test"] == rows[strategy]["validation"] == pytest.approx(right)
        assert rows[strategy]["test_se"] == pytest.approx((right * (100 - right) / 400) ** 0.5)
        assert rows[strategy]["layer_evaluations"] == 20
        assert rows[strategy]["multiply_adds"] == 4 * 1730
        assert rows[strategy]["times_fewer"] == 1
    assert rows["last 3"]["gain"] == pytest.approx(rows["last 3"]["test"] - rows["last layer"]["test"])
    assert "neutral features" not in rows


def test_cost_weighs_each_layer_by_its_multiply_adds(make_run: MakeRun) -> None:
    given = goodness_of([0.9, 0.9, 0.3])
    given["goodness"][2] *= 1e-6  # the last layer is of no use, so the best interval ends before it
    adds = [10, 20, 970]
    rows = rows_of(Evaluation().analyze([make_run("a", attributes={"layer_multiply_adds": adds}, **given)]))
    row = rows["best interval"]
    last = round(row["layer_evaluations"] / 4)
    assert last < 3
    assert row["multiply_adds"] == 4 * sum(adds[:last])
    assert row["times_fewer"] == pytest.approx(1000 / sum(adds[:last]))
    result = Evaluation().analyze([make_run("b", attributes={"layer_multiply_adds": []}, **given)])
    row = rows_of(result)["best interval"]
    assert row["multiply_adds"] is None
    assert row["times_fewer"] == pytest.approx(3 / last)
    assert any("has no layer_multiply_adds" in note for note in result.notes)


def test_gain_and_its_interval_are_paired(make_run: MakeRun) -> None:
    from scipy.stats import bootstrap

    random, truth = np.random.default_rng(1), np.arange(400) % 4
    goodness = random.normal(size=(5, 400, 4))
    goodness[:, np.arange(400), truth] += 1.2
    row = rows_of(Evaluation().analyze([make_run(goodness=goodness, truth=truth)]))["last 3"]
    goodness = goodness.astype(np.float32)
    last, three = (goodness[-1].argmax(1) == truth), (goodness[-3:].mean(0).argmax(1) == truth)
    difference = 100.0 * (three.astype(float) - last)
    assert row["gain"] == pytest.approx(difference.mean())
    expected = bootstrap((difference,), np.mean, method="percentile", rng=np.random.default_rng(0)).confidence_interval
    assert (row["gain_low"], row["gain_high"]) == pytest.approx(tuple(expected), abs=0.6)
    assert row["gain_on"] == "test"


def test_every_strategy_is_there_for_a_run_that_recorded_for_it(real: Path) -> None:
    with ffprobe.open(real) as run:
        result = Evaluation().analyze([run])
        rows = rows_of(result)
        assert set(rows) >= {"neutral features", "random-label features", "propose", "goodness classifier"}
        assert "last 3" not in rows  # three layers: it would be all of them
        assert rows["neutral features"]["layer_evaluations"] == 3
        assert rows["neutral features"]["multiply_adds"] == sum(run.attributes["layer_multiply_adds"])  # type: ignore[call-overload]
        assert rows["neutral features"]["times_fewer"] == pytest.approx(10)
        assert rows["neutral features"]["test"] is None
        held = int((run.read("activations/held_out") != 0).sum())
        assert rows["neutral features"]["validation_images"] == held
        assert rows["neutral features"]["gain_on"] == f"{held} validation"
        # the head, fitted by hand on the same features
        fit = run.read("activations/held_out") == 0
        for stage, strategy in (("pre", "neutral features"), ("random", "random-label features")):
            x = np.concatenate([run.variable(f"activations/{i}/{stage}/activation")[-1] for i in range(3)], 1)
            y = run.read("activations/true_label")
            from sklearn.linear_model import LogisticRegression
            from sklearn.pipeline import make_pipeline
            from sklearn.preprocessing import StandardScaler

            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000)).fit(x[fit], y[fit])
            assert rows[strategy]["validation"] == pytest.approx(100 * model.score(x[~fit], y[~fit]), abs=7)
        assert any("floor: the same head on the pixels" in note for note in result.notes)
        assert any("15 held-out" in n or f"evaluated on {held} of" in n for n in result.notes)
        figure = result.figure()
        labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
        assert labels == [name for name in rows if name != "last layer"]


def test_validation_is_cross_fitted(make_run: MakeRun) -> None:
    """What is fitted on noise reads other noise at chance, not at the optimum of what it was fitted on."""
    random, truth = np.random.default_rng(0), np.arange(400) % 4
    run = make_run(goodness=random.normal(size=(12, 400, 4)), truth=truth)
    row = rows_of(Evaluation().analyze([run]))["goodness classifier"]
    assert row["validation"] < 33  # 48 weights a class would name half of their own 400 images
    assert row["test"] > 40  # the made-up test set is the validation set, so here it shows what crosswise prevents


def test_the_claim_of_table_3_needs_a_deep_network(make_run: MakeRun) -> None:
    better = [0.7] * 12
    for depth, shares, agrees in ((12, better, True), (6, better[:6], False), (8, better[:8], None)):
        random, truth = np.random.default_rng(0), np.arange(400) % 4
        goodness = random.normal(size=(depth, 400, 4))
        goodness[:, np.arange(400), truth] += 1.2
        claims = Evaluation().analyze([make_run(f"d{depth}", plugins=TRIFECTA, goodness=goodness, truth=truth)]).claims
        table = next(claim for claim in claims if "Table 3" in claim.source)
        assert table.agrees is agrees, (depth, shares)
        assert f"{depth} layers" in table.here


def test_all_but_first_is_compared_under_the_trifecta_alone(make_run: MakeRun) -> None:
    # early layers are sure and wrong, so that reading them costs much
    given = goodness_of([0.3, 0.3, 0.95])
    given["goodness"][1] *= 1e6
    for plugins, expected in ((TRIFECTA, [True]), ({}, [])):
        claims = Evaluation().analyze([make_run(f"r{len(plugins)}", plugins=plugins, **given)]).claims
        assert [claim.agrees for claim in claims if "Section 5" in claim.source] == expected


def test_a_small_loss_is_not_a_great_one(make_run: MakeRun) -> None:
    # the layers say the same, so that reading all but the first costs nothing
    given = goodness_of([0.9, 0.9, 0.9])
    given["goodness"][:] = given["goodness"][-1]
    claims = Evaluation().analyze([make_run(plugins=TRIFECTA, **given)]).claims
    assert [claim.agrees for claim in claims if "Section 5" in claim.source] == [False]


@pytest.mark.parametrize(
    ("heights", "agrees"),
    [((0.1, 9.0), True), ((9.0, 1.0), False), ((9.0, 0.0), None)],  # goodness at chance: a collapsed network
)
def test_features_are_compared_with_goodness(
    make_run: MakeRun, heights: tuple[float, float], agrees: bool | None
) -> None:
    clear, height = heights
    random, samples = np.random.default_rng(0), 60
    truth = np.arange(160, 220) % 4
    goodness = random.normal(size=(3, samples, 4))
    goodness[:, np.arange(samples), truth] += height
    run = make_run(goodness=goodness, truth=truth, signal=[clear] * 3)
    read = run.read
    # the maker of run files leaves the source indices open: held-out image i is validation image i
    index = {"activations/source_index": np.arange(220) - 160, "evaluation/source_index": np.arange(60)}
    run.read = lambda path: index[path] if path in index else read(path)
    claims = Evaluation().analyze([run]).claims
    assert [claim.agrees for claim in claims if "neutral-label" in claim.said] == [agrees]


def test_an_unfinished_run_and_one_without_a_test_set_are_evaluated_on_validation(make_run: MakeRun) -> None:
    given = goodness_of([0.5, 0.7, 0.9])
    for run in (make_run("a", finish=False, **given), make_run("b", test=False, **given)):
        result = Evaluation().analyze([run])
        rows = rows_of(result)
        assert rows["last layer"]["test"] is None
        assert rows["all but first"]["gain_on"] == "validation"
        assert any("test set was not evaluated" in note for note in result.notes)


def test_several_runs_have_rows_below_each_other(make_run: MakeRun) -> None:
    runs = [make_run("a", plugins=TRIFECTA, **goodness_of([0.5, 0.7])), make_run("b", **goodness_of([0.6, 0.8, 0.9]))]
    result = Evaluation().analyze(runs)
    assert len({row["run"] for row in result.to_dict()["rows"]}) == 2
    assert result.figure().axes[0].get_legend() is not None


def test_diverged_goodness_is_refused(make_run: MakeRun) -> None:
    given = goodness_of([0.5, 0.7])
    given["goodness"][1, 3, 2] = np.nan
    with pytest.raises(ffprobe.FileError, match=r"1 of 3200 numbers in evaluation/goodness are NaN.*diverged"):
        Evaluation().analyze([make_run(**given)])
