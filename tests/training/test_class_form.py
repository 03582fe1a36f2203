"""Form class, whole-network groups and local heads: the parts of the presets for local classifiers and backprop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from toy import toy_config

import ffprobe
from ffprobe.config.parsing import merge
from ffprobe.config.preset_files import BASE_PRESET, read_preset
from ffprobe.config.resolve import resolve
from ffprobe.inference.evaluate import layer_accuracy
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import Experiment, build
from ffprobe.training.session import Session

BP = ("no-label", "linear-head", "cross-entropy", "whole", "batchnorm:position=preactivation")
LOCAL = ("no-label", "linear-head", "cross-entropy", "greedy")


def experiment(*plugins: str, **changes: Any) -> Experiment:
    registry = Registry()
    return build(toy_config(registry, *plugins, **{"precision": "fp64", **changes}), registry)


def test_one_group_of_all_layers_is_backpropagation() -> None:
    made = experiment(*BP, training={"learning_rate": 0.01, "weight_decay": 0.1, "optimizer": "adamw"})
    network = made.network
    plain = nn.Sequential()
    for i in range(3):
        convolution = nn.Conv2d(*network.layer(i).conv.weight.shape[1::-1], 3, padding=1, bias=False)
        convolution.weight.data = network.layer(i).conv.weight.detach().clone()
        plain.extend([convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU()])
        if i < 2:
            plain.append(nn.MaxPool2d(2))
    head = nn.Linear(*network.layer(2).goodness.linear.weight.shape[::-1])
    head.load_state_dict(network.layer(2).goodness.linear.state_dict())
    plain.extend([nn.Flatten(), head])
    plain.double().train()
    optimizer = torch.optim.AdamW(plain.parameters(), lr=0.01, weight_decay=0.1)
    network.train()
    x, labels = made.loader.preview()
    for step in range(4):
        loss = functional.cross_entropy(plain(x), labels)
        (update,) = made.learner.step(x, labels, step, 0)
        torch.testing.assert_close(update.loss, loss.detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert sum(p.numel() for p in plain.parameters()) == sum(p.numel() for p in network.parameters())
    for got, expected in zip(network.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(got, expected)


def test_a_head_that_no_loss_trains_is_removed() -> None:
    made = experiment(*BP)
    assert made.network.trained_layers == (2,)
    assert [n for n in made.network.named_state() if "goodness" in n] == [
        "2.goodness.linear.weight",
        "2.goodness.linear.bias",
    ]
    goodness = made.network.eval()(torch.randn(4, 1, 8, 8, dtype=torch.float64))
    assert goodness.shape == (3, 4, 10)
    assert goodness.isnan().flatten(1).all(1).tolist() == [True, True, False]
    accuracy = layer_accuracy(goodness, torch.zeros(4, dtype=torch.int64))
    assert accuracy.isnan().tolist() == [True, True, False]
    assert experiment(*LOCAL).network.trained_layers == (0, 1, 2)


def test_goodness_without_parameters_needs_no_training() -> None:
    made = experiment("whole", "symba")
    assert made.network.trained_layers == (0, 1, 2)
    assert not made.network(torch.randn(2, 1, 8, 8, dtype=torch.float64), torch.tensor([0, 1])).isnan().any()


def test_an_evaluator_that_reads_untrained_layers_is_refused() -> None:
    with pytest.raises(ffprobe.UsageError, match=r"layers \[1, 2\]"):
        experiment(*BP, "layer-goodness:layers=all")


def test_a_group_s_optimizer_does_not_cover_the_heads_of_its_lower_layers() -> None:
    made = experiment(
        "no-label",
        "linear-head",
        "cross-entropy",
        "interlocking",
        training={"weight_decay": 0.5, "optimizer": "sgd", "learning_rate": 1e-9, "momentum": 0.0},
    )
    sizes = {g: sum(p.numel() for p in o.param_groups[0]["params"]) for g, o in made.learner.optimizers.items()}  # type: ignore[attr-defined]
    layers = [made.network.layer(i) for i in range(3)]
    own = [sum(p.numel() for p in layer.own_parameters(objective=False)) for layer in layers]
    whole = [sum(p.numel() for p in layer.parameters()) for layer in layers]
    assert sizes == {(0, 1): whole[0], (0, 2): own[0] + whole[1], (1, 3): own[1] + whole[2]}


def test_class_form_takes_one_pass_and_the_neutral_label() -> None:
    made = experiment("linear-head", "cross-entropy", "greedy")
    rows: list[int] = []
    made.network.layer(0).register_forward_hook(lambda module, given, out: rows.append(len(given[0])))
    x, labels = made.loader.preview()
    made.network.train()
    assert [u.positive for u in made.learner.step(x, labels, 0, 0)] == [None] * 3
    assert rows == [len(x)]


def test_local_heads_train_their_own_layer_only() -> None:
    made = experiment(*LOCAL)
    x, labels = made.loader.preview()
    made.network.train()
    for update in made.learner.step(x, labels, 0, 0):
        moved = {n.split(".")[1] for n, p in made.network.named_parameters() if p.grad is not None}
        assert moved == {str(update.loss_layer)}


class Keeping(ffprobe.Loss):
    """A loss with a parameter at each layer; it records its context."""

    name = "keeping"
    form = "class"
    seen: list[Any] = []  # an attribute of the class, since the setup has its own instance

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        return nn.Linear(torch.Size(shape).numel(), 1, bias=False)

    def __call__(self, goodness: torch.Tensor, labels: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        self.seen.append((context.layer, tuple(context.input.shape), context.input.requires_grad))  # type: ignore[union-attr]
        kept = context.module(context.activation.flatten(1)).square().mean()  # type: ignore[misc]
        return functional.cross_entropy(goodness, labels) + kept


def test_a_loss_may_keep_parameters_at_each_layer() -> None:
    registry = Registry()
    base = toy_config(registry, "no-label", "linear-head", "cross-entropy", precision="fp64")
    choice = type(base.slots["loss"])(Keeping, Keeping.Params())
    made = build(type(base)(base.settings, {**base.slots, "loss": choice}), registry)
    assert {n for n in made.network.named_state() if ".loss." in n} == {f"{i}.loss.weight" for i in range(3)}
    before = made.network.layer(1).loss.weight.detach().clone()
    x, labels = made.loader.preview()
    made.network.train()
    list(made.learner.step(x, labels, 0, 0))
    assert not torch.equal(before, made.network.layer(1).loss.weight)
    shapes = [made.network.layer(i).input_shape for i in range(3)]
    assert Keeping.seen[-3:] == [(i, (len(x), *shapes[i]), False) for i in range(3)]


@pytest.mark.parametrize("name", ["bp", "fa", "dfa", "pepita", "mono-forward"])
def test_presets_train(tmp_path: Path, name: str) -> None:
    small = {
        "network": {"width": 0.05},
        "training": {"epochs": 3, "max_images": 128, "batch_size": 64},
        "recording": {"samples": 20},
        "device": "cpu",
        "precision": "fp32",
        "probes": [],
    }
    registry = Registry()
    config = resolve(merge(merge(read_preset(BASE_PRESET), read_preset(name)), small), registry)
    outcome = Session.start(config, registry, tmp_path / "run.h5").run()
    assert outcome.model_validation_accuracy == outcome.validation_accuracy[-1]
    with ffprobe.open(tmp_path / "run.h5") as run:
        assert run.complete
