"""Shortcuts and dropout of the Trifecta's networks against plain code."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional
from toy import toy_config

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import Experiment, build

# layers whose input has the channels and the side of their output; the last one passes nothing on
KEEPING = {"tff-s": {1, 3, 4}, "tff-d": {2, 3, 4, 6, 7, 8, 10}}


def built(*plugins: str, **changes: Any) -> Experiment:
    return build(toy_config(Registry(), *plugins, **changes), Registry())


@pytest.mark.parametrize("name", KEEPING)
def test_layers_that_keep_their_shape_add_their_input(name: str) -> None:
    made = built("none", precision="fp64", network={"name": name, "width": 0.05, "residual": True})
    x, labels = made.loader.preview()
    given = x = made.network.encode(x, labels)
    for index, activation in enumerate(made.network.eval().activations(made.loader.preview()[0], labels)):
        layer = made.network.layer(index)
        own = functional.conv2d(given, layer.conv.weight, padding=1).relu()
        own = functional.max_pool2d(own, 2) if layer.pool == 2 else own
        torch.testing.assert_close(activation, own)  # goodness sees no shortcut
        given = own + given if index in KEEPING[name] else own
    assert {i for i in range(made.network.depth) if made.network.layer(i).spec.shortcut} == KEEPING[name]


def test_shortcuts_carry_no_gradient() -> None:
    made = built("none", "olu", "symba", precision="fp64", network={"name": "tff-s", "width": 0.05, "residual": True})
    layers = [made.network.layer(i) for i in (1, 2)]
    x = torch.randn(3, *layers[0].input_shape, dtype=torch.float64, requires_grad=True)
    reached = [x, *(layer.conv.weight for layer in layers)]
    a = functional.conv2d(x, reached[1], padding=1).relu() + x.detach()
    b = functional.max_pool2d(functional.conv2d(a, reached[2], padding=1).relu(), 2)
    expected = torch.autograd.grad(b.square().sum(), reached)
    passed = made.network.pass_on(1, layers[0](x), {1: x})
    gradients = torch.autograd.grad(layers[1](passed).square().sum(), reached)
    for one, other in zip(expected, gradients, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", ["tff-s", "tff-d", "fcn", "deeperforward"])
def test_dropout_acts_before_goodness_and_in_training_only(name: str) -> None:
    plugins = ("no-label", "group-mean", "cwc") if name == "deeperforward" else ()
    made = built(*plugins, "none", network={"name": name, "width": 0.1, "dropout": 0.25})
    plain = built(*plugins, "none", network={"name": name, "width": 0.1})
    plain.network.load_state_dict(made.network.state_dict())
    for index in range(made.network.depth):
        layer, other = made.network.layer(index), plain.network.layer(index)
        x = torch.rand(200, *layer.input_shape)
        whole = other(x)
        torch.testing.assert_close(layer.eval()(x), whole)
        dropped = layer.train()(x)
        kept = dropped != 0
        torch.testing.assert_close(dropped[kept], whole[kept] / 0.75)
        share = 1 - (kept.sum() / (whole != 0).sum()).item()
        assert share == pytest.approx(0.25, abs=0.02)


def test_dropout_applies_in_training_steps() -> None:
    # two steps of the same weights and batch differ exactly where masks differ
    def loss(seed: int, dropout: float) -> float:
        made = built("batchnorm", "symba", "olu", network={"name": "tff-s", "width": 0.1, "dropout": dropout})
        x, labels = made.loader.preview()
        made.network.train()
        torch.manual_seed(seed)
        return next(made.learner.step(x, labels, 0, 0)).loss.item()

    assert loss(0, 0.2) == loss(0, 0.2) != loss(1, 0.2)
    assert loss(0, 0.0) == loss(1, 0.0)


def test_pepita_refuses_dropout_of_the_network() -> None:
    with pytest.raises(ffprobe.UsageError, match=r"rule\.dropout"):
        built(
            "no-label",
            "none",
            "linear-head",
            "cross-entropy",
            "whole",
            "pepita",
            network={"name": "fcn", "dropout": 0.1},
        )
