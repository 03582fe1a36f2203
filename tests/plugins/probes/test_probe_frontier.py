"""Accuracy against cost: what is chosen by validation, what the test set then says, and which settings are best."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ffprobe_plugins.probes.frontier import Frontier
from toy import toy_config

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.training.session import Session

MakeRun = Callable[..., Any]


def crowd(depth: int = 4, samples: int = 400) -> dict[str, np.ndarray]:
    """Goodness that grows clearer with depth; the same noise in all layers."""
    random, truth = np.random.default_rng(0), np.arange(samples) % 4
    shared = random.normal(size=(samples, 4))
    goodness = np.stack([shared + 0.3 * random.normal(size=shared.shape) for _ in range(depth)])
    for layer in range(depth):
        goodness[layer, np.arange(samples), truth] += 1.0 + 0.7 * layer
    return {"goodness": goodness, "truth": truth}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    registry = Registry()
    out = tmp_path_factory.mktemp("run") / "run.h5"
    Session.start(toy_config(registry, "olu", "batchnorm", "symba", "probes"), registry, out).run()
    return out


def test_fewer_layers_cost_what_they_say(make_run: MakeRun) -> None:
    given = crowd()
    rows = Frontier().analyze([make_run(**given)]).to_dict()["rows"]
    assert rows[0]["strategy"] == "full sweep"
    assert (rows[0]["cost"], rows[0]["times_less"], rows[0]["gain"]) == (16, 1, 0)
    whole = given["goodness"][-1].argmax(1) == given["truth"]
    assert rows[0]["accuracy"] == pytest.approx(100 * whole.mean())
    fewer = {row["setting"]: row for row in rows if row["strategy"] == "fewer layers"}
    for setting, row in fewer.items():
        first, last = (int(word) for word in setting.replace("first ", "").split(", last "))
        right = given["goodness"][first - 1 : last].mean(0).argmax(1) == given["truth"]
        assert row["cost"] == 4 * last
        assert row["gain"] == pytest.approx(100 * (right.mean() - whole.mean()))
    assert {row["cost"] for row in fewer.values()} == {4, 8, 12, 16}


def test_no_setting_of_the_front_is_beaten(make_run: MakeRun) -> None:
    rows = Frontier().analyze([make_run(**crowd())]).to_dict()["rows"]
    for row in rows:
        beaten = any(
            o["cost"] <= row["cost"]
            and o["gain"] >= row["gain"]
            and (o["cost"], o["gain"]) != (row["cost"], row["gain"])
            for o in rows
        )
        assert row["front"] is not beaten
    assert 1 < sum(row["front"] for row in rows) < len(rows)


def test_the_cheapest_is_chosen_by_validation_not_by_the_test_set(make_run: MakeRun) -> None:
    given = crowd()
    rows = Frontier().analyze([make_run(**given)]).to_dict()["rows"]
    for loss in (0.1, 0.5, 1.0):
        near = [row for row in rows if row["validation_gain"] >= -loss - 1e-9]
        cheapest = min(near, key=lambda row: row["cost"])
        assert cheapest["cheapest_within"] <= loss
    spoilt = {"evaluations": {1: given["goodness"], 2: given["goodness"]}, **given}
    spoilt["goodness"] = given["goodness"][::-1].copy()  # the test set alone
    other = Frontier().analyze([make_run("spoilt", **spoilt)]).to_dict()["rows"]
    told = [[(r["setting"], r["validation_gain"], r["cheapest_within"]) for r in found] for found in (rows, other)]
    assert told[0] == told[1]
    assert [r["gain"] for r in rows] != [r["gain"] for r in other]


def test_curves_fall_in_cost_as_more_may_be_lost(make_run: MakeRun) -> None:
    rows = Frontier().analyze([make_run(**crowd(samples=1200))]).to_dict()["rows"]
    for strategy in ("candidates", "early exit", "early exit, pruned"):
        costs = [row["cost"] for row in rows if row["strategy"] == strategy]
        assert len(costs) > 1
        assert costs[-1] < costs[0]


def test_features_are_judged_on_the_images_that_were_recorded(real: Path) -> None:
    with ffprobe.open(real) as run:
        result = Frontier().analyze([run])
        rows = {row["strategy"]: row for row in result.to_dict()["rows"]}
        held = int((run.read("activations/held_out") != 0).sum())
    assert rows["neutral features"]["gain_on"] == rows["propose"]["gain_on"] == f"{held} validation"
    assert rows["candidates"]["gain_on"] == "test"
    assert rows["neutral features"]["cost"] == 3
    assert {word for n in result.notes if "the cheapest" in n for word in n.split(" points")[0].split()} >= {
        "0.1",
        "0.5",
        "1",
    }
    axes = result.figure().axes[0]
    assert axes.get_xscale() == "log"
    assert "full sweep" in axes.get_xlabel()


def test_without_activations_or_test_set_the_rest_is_told(make_run: MakeRun) -> None:
    result = Frontier().analyze([make_run(test=False, **crowd())])
    rows = result.to_dict()["rows"]
    assert {row["gain_on"] for row in rows} == {"validation"}
    assert "propose" not in {row["strategy"] for row in rows}
    assert any("No activations with the neutral label" in note for note in result.notes)
    assert any("test set has not been read" in note for note in result.notes)
    assert result.figure().axes[0].lines


def test_several_runs_have_a_panel_each(make_run: MakeRun) -> None:
    runs = [make_run("a", plugins={"normalizer": "batchnorm"}, **crowd()), make_run("b", **crowd(depth=3))]
    result = Frontier().analyze(runs)
    assert len(result.figure().axes) == 2
    assert len({row["run"] for row in result.to_dict()["rows"]}) == 2


def test_nothing_evaluated_is_refused(make_run: MakeRun) -> None:
    run = make_run(evaluations={}, **crowd())
    with pytest.raises(ffprobe.FileError, match=r"No goodness of validation images.*first evaluation"):
        Frontier().analyze([run])
