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


UNEQUAL = {"layer_multiply_adds": [10, 160, 1500, 50]}
"""Layers that differ in cost many times."""


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
    rows = Frontier().analyze([make_run(attributes=UNEQUAL, **given)]).to_dict()["rows"]
    assert rows[0]["strategy"] == "full scan"
    assert (rows[0]["multiply_adds"], rows[0]["times_fewer"], rows[0]["gain"]) == (4 * 1720, 1, 0)
    assert rows[0]["layer_evaluations"] == 16
    whole = given["goodness"][-1].argmax(1) == given["truth"]
    assert rows[0]["accuracy"] == pytest.approx(100 * whole.mean())
    fewer = {row["setting"]: row for row in rows if row["strategy"] == "fewer layers"}
    for setting, row in fewer.items():
        first, last = (int(word) for word in setting.replace("first ", "").split(", last "))
        right = given["goodness"][first - 1 : last].mean(0).argmax(1) == given["truth"]
        assert row["layer_evaluations"] == 4 * last
        assert row["multiply_adds"] == 4 * sum(UNEQUAL["layer_multiply_adds"][:last])
        assert row["times_fewer"] == pytest.approx(4 * 1720 / row["multiply_adds"])
        assert row["gain"] == pytest.approx(100 * (right.mean() - whole.mean()))
    assert {row["layer_evaluations"] for row in fewer.values()} == {4, 8, 12, 16}


def test_no_setting_of_the_front_is_beaten(make_run: MakeRun) -> None:
    rows = Frontier().analyze([make_run(attributes=UNEQUAL, **crowd())]).to_dict()["rows"]
    for row in rows:
        beaten = any(
            o["multiply_adds"] <= row["multiply_adds"]
            and o["gain"] >= row["gain"]
            and (o["multiply_adds"], o["gain"]) != (row["multiply_adds"], row["gain"])
            for o in rows
        )
        assert row["front"] is not beaten
    assert 1 < sum(row["front"] for row in rows) < len(rows)


def test_the_cheapest_is_chosen_by_validation_not_by_the_test_set(make_run: MakeRun) -> None:
    given = crowd()
    rows = Frontier().analyze([make_run(**given)]).to_dict()["rows"]
    for loss in (0.1, 0.5, 1.0):
        near = [row for row in rows if row["validation_gain"] >= -loss - 1e-9]
        cheapest = min(near, key=lambda row: row["multiply_adds"])
        assert cheapest["cheapest_within"] <= loss
    spoilt = {"evaluations": {1: given["goodness"], 2: given["goodness"]}, **given}
    spoilt["goodness"] = given["goodness"][::-1].copy()  # the test set alone
    other = Frontier().analyze([make_run("spoilt", **spoilt)]).to_dict()["rows"]
    choices = [[(r["setting"], r["validation_gain"], r["cheapest_within"]) for r in found] for found in (rows, other)]
    assert choices[0] == choices[1]
    assert [r["gain"] for r in rows] != [r["gain"] for r in other]


def test_curves_fall_in_cost_as_more_may_be_lost(make_run: MakeRun) -> None:
    rows = Frontier().analyze([make_run(**crowd(samples=1200))]).to_dict()["rows"]
    for strategy in ("candidates", "early exit", "early exit, pruned"):
        costs = [row["multiply_adds"] for row in rows if row["strategy"] == strategy]
        assert len(costs) > 1
        assert costs[-1] < costs[0]


def test_features_are_evaluated_on_the_images_that_were_recorded(real: Path) -> None:
    with ffprobe.open(real) as run:
        result = Frontier().analyze([run])
        rows = {row["strategy"]: row for row in result.to_dict()["rows"]}
        held = int((run.read("activations/held_out") != 0).sum())
    assert rows["neutral features"]["gain_on"] == rows["propose"]["gain_on"] == f"{held} validation"
    assert rows["candidates"]["gain_on"] == "test"
    assert rows["neutral features"]["layer_evaluations"] == 3
    assert {word for n in result.notes if "the cheapest" in n for word in n.split(" points")[0].split()} >= {
        "0.1",
        "0.5",
        "1",
    }
    axes = result.figure().axes[0]
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "multiply-adds (% of a full scan)"


def test_validation_and_test_share_no_front(real: Path) -> None:
    with ffprobe.open(real) as run:
        result = Frontier().analyze([run])
    rows = result.to_dict()["rows"]
    full = rows[0]["multiply_adds"]
    for on in {row["gain_on"] for row in rows}:
        near = [(row["multiply_adds"], row["gain"]) for row in rows if row["gain_on"] == on]
        for row in (row for row in rows if row["gain_on"] == on):
            here = (row["multiply_adds"], row["gain"])
            beaten = any(c <= here[0] and g >= here[1] and (c, g) != here for c, g in [*near, (full, 0.0)])
            assert row["front"] is not beaten
    assert any(row["front"] and row["gain_on"] == "test" for row in rows)
    assert any("2 separate fronts: settings measured on test and on" in note for note in result.notes)


def test_a_file_without_multiply_adds_says_that_layers_count_alike(make_run: MakeRun) -> None:
    result = Frontier().analyze([make_run(attributes={"layer_multiply_adds": []}, **crowd())])
    rows = result.to_dict()["rows"]
    assert {row["multiply_adds"] for row in rows} == {None}
    assert all(row["times_fewer"] == pytest.approx(16 / row["layer_evaluations"]) for row in rows)
    assert any("has no layer_multiply_adds" in note for note in result.notes)
    assert "one front, on test images." in result.notes
    assert result.figure().axes[0].get_xlabel() == "layer evaluations (% of a full scan)"
    assert result.extra["runs"][0]["full_scan_layer_evaluations"] == 16


def test_without_activations_or_test_set_the_rest_is_reported(make_run: MakeRun) -> None:
    result = Frontier().analyze([make_run(test=False, **crowd())])
    rows = result.to_dict()["rows"]
    assert {row["gain_on"] for row in rows} == {"validation"}
    assert "propose" not in {row["strategy"] for row in rows}
    assert any("No activations with the neutral label" in note for note in result.notes)
    assert any("the test set was not evaluated" in note for note in result.notes)
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
