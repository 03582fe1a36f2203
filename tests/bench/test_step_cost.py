"""Step costs: operations of every way by hand, equal gradients of every way of backpropagation, and the command."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

import ffprobe
from ffprobe.bench.backprop import backprop_step
from ffprobe.bench.compared import compare_steps, step_costs
from ffprobe.bench.step_cost import BODY, LOCAL, WAYS, measure_step
from ffprobe.config.parsing import merge
from ffprobe.config.resolve import resolve
from ffprobe.network.multiply_adds import multiply_adds
from ffprobe.plugin.registry import Registry
from ffprobe.testing.toy import toy_config
from ffprobe.training.experiment import Experiment, build

SHAPE, CLASSES, BATCH = (1, 8, 8), 3, 16


def table(*plugins: str, **settings: Any) -> dict[str, Any]:
    changes = merge({"training": {"batch_size": BATCH}, "precision": "fp32"}, settings)
    return toy_config(Registry(), plugins, changes).to_dict()


CLASS_FORM = ("no-label", "linear-head", "cross-entropy", "greedy")


def experiment(body: dict[str, Any] = BODY, **settings: Any) -> Experiment:
    registry = Registry()
    return build(resolve(merge(table(*CLASS_FORM, **settings), body), registry), registry)


def test_operations_of_a_local_step_and_of_backpropagation() -> None:
    costs = {way: measure_step(table(*CLASS_FORM), way, SHAPE, CLASSES, 1) for way in WAYS}
    network = experiment({}).network
    forward = multiply_adds(network, SHAPE)
    features = [network.layer(i).goodness.linear.weight.shape[1] for i in range(network.depth)]
    local = sum(2 * layer + 3 * CLASSES * size for layer, size in zip(forward, features, strict=True))
    assert costs[LOCAL].multiply_adds == BATCH * local
    whole = 3 * sum(forward) - forward[0] + 3 * CLASSES * features[-1]
    assert costs["backprop"].multiply_adds == BATCH * whole
    assert costs["backprop, accumulated"].multiply_adds == BATCH * whole
    assert costs["backprop, checkpointed"].multiply_adds == BATCH * (whole + sum(forward))
    for cost in costs.values():
        assert cost.batch == BATCH
        assert cost.seconds > 0
        assert cost.bytes > 4 * BATCH * 64
        assert cost.processor.startswith("fp32, ")


@pytest.mark.parametrize("how", [{"checkpointed": True}, {"parts": 4}], ids=["checkpointed", "accumulated"])
def test_every_way_of_backpropagation_has_the_same_gradients(how: dict[str, Any]) -> None:
    settings = {"normalizer": {"name": "none"}, "precision": "fp64"}
    states = []
    for way in ({}, how):
        built = experiment(**settings, training={"optimizer": "sgd", "learning_rate": 0.1, "batch_size": BATCH})
        x, labels, _ = next(iter(built.loader))
        backprop_step(built, **way)(x, labels)
        states.append(built.network.state_dict())
    start = experiment(**settings).network.state_dict()
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=1e-9, atol=1e-12)
    assert any(not torch.equal(start[name], value) for name, value in states[0].items())


def test_a_method_of_pairs_gets_a_head_for_backpropagation() -> None:
    pairs = measure_step(table("symba", "olu"), "backprop", SHAPE, CLASSES, 1)
    heads = measure_step(table(*CLASS_FORM), "backprop", SHAPE, CLASSES, 1)
    assert pairs.multiply_adds == heads.multiply_adds


def test_a_network_with_shortcuts_is_not_checkpointed() -> None:
    shortcuts = table(*CLASS_FORM) | {"network": {"name": "deeperforward"}}
    with pytest.raises(ffprobe.UsageError, match="shortcuts between layers is not checkpointed"):
        measure_step(shortcuts, "backprop, checkpointed", SHAPE, CLASSES, 1)


def test_each_row_is_a_process_of_its_own_and_a_failure_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ffprobe.bench.compared.WAYS", ("backprop",))
    broken = table(*CLASS_FORM) | {"network": {"name": "vit", "patch": 5}}
    rows = compare_steps({"good": table(*CLASS_FORM), "bad": broken}, SHAPE, CLASSES, 1)
    result = step_costs(rows, "1x8x8", CLASSES)
    document = json.loads(json.dumps(result.to_dict()))
    assert [(row["method"], row["way"]) for row in document["rows"]] == [("good", "backprop")]
    assert document["rows"][0]["times_bp"] == 1
    assert any(note.startswith("bad, backprop: ") and "patch" in note for note in document["notes"])
