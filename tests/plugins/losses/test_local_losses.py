"""The parts of Nokland and Eidnes' local losses against sums written out by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ffprobe_plugins.goodness.local_classifier import pool, pooled_size, pooling
from ffprobe_plugins.losses.predsim import similarity_matrix
from toy import toy_config

import ffprobe
from ffprobe.config.preset_files import read_preset
from ffprobe.config.resolve import resolve
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import Experiment, build

LOCAL = ("no-label", "local-classifier", "predsim")
CONV = {"normalizer": {"name": "batchnorm", "position": "preactivation"}}


def make(name: str, **params: Any) -> Any:
    component = Registry().load(name)[0]
    return component(component.Params(**params))


def experiment(*plugins: str, **changes: Any) -> Experiment:
    registry = Registry()
    return build(toy_config(registry, *plugins, **{"precision": "fp64", **changes}), registry)


def test_similarity_of_vectors_by_hand() -> None:
    # centred: (-1, 1), (1, -1), (-2, 2), 0
    x = torch.tensor([[0.0, 2.0], [4.0, 2.0], [1.0, 5.0], [3.0, 3.0]], dtype=torch.float64)
    expected = torch.tensor([[1, -1, 1, 0], [-1, 1, -1, 0], [1, -1, 1, 0], [0, 0, 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(similarity_matrix(x), expected, atol=1e-7, rtol=0)


def test_similarity_of_maps_is_that_of_deviations_over_positions() -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(3, 5, 4, 2, generator=random, dtype=torch.float64)
    deviations = torch.from_numpy(np.std(x.flatten(2).numpy(), axis=2, ddof=1))
    cosines = np.corrcoef(deviations.numpy())  # centred cosines are correlations
    torch.testing.assert_close(similarity_matrix(x), torch.from_numpy(cosines), atol=1e-6, rtol=0)
    for few in (x[:, :3], x[:, :, :1]):  # up to 3 channels, or one row: the map itself
        cosines = np.corrcoef(few.flatten(1).numpy())
        torch.testing.assert_close(similarity_matrix(few), torch.from_numpy(cosines), atol=1e-6, rtol=0)


def test_similarity_stays_in_its_range_despite_rounding() -> None:
    x = torch.randn(300, 7, generator=torch.Generator().manual_seed(1)) * 1e4
    centred = x - x.mean(1, keepdim=True)
    rounded = centred / (1e-8 + centred.norm(dim=1, keepdim=True))
    assert (rounded @ rounded.T).max() > 1  # without the clamp
    assert similarity_matrix(x).abs().max() <= 1


def test_constant_features_have_no_gradient() -> None:
    x = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    x[0, 1] = 0.0  # a dead channel
    x[1] = 1.0  # a dead sample
    x.requires_grad_()
    (similarity_matrix(x) * torch.tensor([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()
    assert x.grad[0, 1].abs().max() == 0 and x.grad[1].abs().max() == 0
    flat = torch.tensor([[1.0, 2.0, 4.0], [0.0, 0.0, 0.0]], requires_grad=True)  # a dead sample of a linear layer
    similarity_matrix(flat)[0, 1].backward()
    assert flat.grad is not None and flat.grad.isfinite().all()


@pytest.mark.parametrize(
    ("shape", "inputs", "window", "left"),
    [
        ((8, 8, 8), 128, ((2, 2), (0, 0)), 128),  # the first three as published trajectories have them
        ((12, 8, 8), 128, ((4, 2), (0, 0)), 96),
        ((16, 4, 4), 128, ((2, 1), (0, 0)), 128),
        ((4, 5, 5), 50, ((2, 2), (1, 1)), 36),  # sides of 5 are completed to 6
        ((6, 2, 2), 100, ((1, 1), (0, 0)), 24),
        ((200, 3, 3), 100, ((4, 4), (2, 2)), 200),  # whole maps are the end of it
        ((2, 8, 1), 4, ((4, 1), (0, 0)), 4),
    ],
)
def test_pooling_before_a_local_classifier(shape: Any, inputs: int, window: Any, left: int) -> None:
    assert pooling(shape, inputs) == window
    assert pooled_size(shape, window) == left


def test_pooling_of_every_recorded_layer(golden: Path) -> None:
    seen = 0
    for file in (golden / "field").glob("localloss-conv-pred*.npz"):
        meta = json.loads(str(np.load(file)["meta"]))
        for layer in meta["layers"]:
            if "head_avgpool" in layer:
                side = {"0": 8, "1": 8, "2": 4}[layer["name"]]
                window = pooling((layer["out_channels"], side, side), 128)  # --dim-in-decoder of their command line
                pooling_record = layer["head_avgpool"]
                assert window == (tuple(pooling_record["kernel"]), tuple(pooling_record["padding"]))
                assert pooled_size((layer["out_channels"], side, side), window) == layer["head"]["in_features"]
                seen += 1
    assert seen


def test_padded_zeros_count_in_the_average() -> None:
    averaged = pool(torch.ones(1, 1, 5, 5), ((2, 2), (1, 1)))
    assert averaged[0, 0].tolist() == [[0.25, 0.5, 0.5], [0.5, 1.0, 1.0], [0.5, 1.0, 1.0]]


def test_a_detached_classifier_does_not_affect_the_layer() -> None:
    activation = torch.randn(2, 3, requires_grad=True)
    for detached in (True, False):
        module = make("local-classifier", detached=detached).build((3,), 4)
        module(activation).sum().backward()
        assert module.linear.weight.grad.abs().max() > 0
        assert (activation.grad is None) == detached


def predsim(loss: Any, labels: torch.Tensor, activation: torch.Tensor, goodness: torch.Tensor) -> torch.Tensor:
    module = loss.build(tuple(activation.shape[1:]), goodness.shape[1])
    if module is not None and hasattr(module, "map"):
        torch.nn.init.eye_(module.map.weight)
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    context = ffprobe.LossContext(0, 1, 0, 0, activation, labels, input=x, module=module)
    return loss(goodness, labels, context)


def test_predsim_by_hand() -> None:
    labels, goodness = torch.tensor([0, 1]), torch.tensor([[0.0, 0.0], [0.0, math.log(3)]])
    entropy = (math.log(2) + math.log(4 / 3)) / 2
    # activations point the same way, labels of two classes the opposite way: gaps of 0 and 2
    activation = torch.tensor([[1.0, 3.0], [2.0, 7.0]])
    for how, expected in (
        ({}, 0.01 * entropy + 0.99 * 2),
        ({"beta": 0.25}, 0.75 * entropy + 0.25 * 2),
        ({"beta": 1.0, "pred": 3.0}, 3 * entropy + 2),
        ({"beta": 0.0}, entropy),
        # inputs point opposite ways too, as labels do
        ({"beta": 0.5, "unsupervised": "sim", "alpha": 0.1}, 0.1 * 2 + 0.9 * (0.5 * entropy + 0.5 * 2)),
    ):
        value = predsim(make("predsim", **how), labels, activation, goodness)
        assert float(value.detach()) == pytest.approx(expected, rel=1e-5), how
    assert make("predsim", beta=0).build((2,), 2) is None


def test_goodness_of_random_codes_by_hand() -> None:
    module = make("random-code", bits=2).build((2,), 2)
    with torch.no_grad():
        module.projection.copy_(torch.tensor([[0.5, -0.5], [-0.1, 0.2]]))  # codes 10 and 01
        module.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        module.bias.zero_()
        module.feedback.copy_(torch.tensor([[3.0, 5.0], [7.0, 11.0]]))
    x = torch.tensor([[2.0, 0.0]], requires_grad=True)
    goodness = module(x)
    sure, even = -math.log(1 + math.exp(-2)), -math.log(2)
    assert goodness.tolist()[0] == pytest.approx([(sure + even) / 2, (sure - 2 + even) / 2], rel=1e-6)
    loss = make("predsim-bio", beta=0.0)
    context = ffprobe.LossContext(0, 1, 0, 0, x, torch.tensor([0]))
    loss(goodness, torch.tensor([0]), context).backward()
    # (sigmoid(z) - bit) / bits, the second z being 0, through the fixed matrix
    z = [(1 / (1 + math.exp(-2)) - 1) / 2, (0.5 - 0) / 2]
    assert x.grad is not None
    assert x.grad.tolist()[0] == pytest.approx([3 * z[0] + 7 * z[1], 5 * z[0] + 11 * z[1]], rel=1e-5)
    assert module.weight.grad.tolist()[1] == pytest.approx([2 * z[1], 0.0])


def test_bio_similarities_are_those_of_the_pooled_activation() -> None:
    loss = make("predsim-bio", beta=1.0, bits=3, inputs=8)
    activation = torch.randn(4, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 1])
    module: Any = loss.build((2, 4, 4), 3)
    context = ffprobe.LossContext(0, 1, 0, 0, activation, labels, module=module)
    pooled = activation.view(4, 2, 2, 2, 2, 2).mean((3, 5)).flatten(1).numpy()
    targets = module.projection.T[labels].numpy()
    expected = np.square(np.corrcoef(pooled) - np.corrcoef(targets)).mean()
    assert float(loss(torch.zeros(4, 3), labels, context)) == pytest.approx(expected, rel=1e-4)


def test_summed_losses_are_one_backward_pass_of_the_sum() -> None:
    made = experiment("summed-losses", *LOCAL, "greedy", **CONV)
    network = made.network.train()
    x, labels = made.loader.preview()
    total, inputs = torch.zeros((), dtype=torch.float64), x
    for i in range(network.depth):
        activation = network.layer(i)(inputs)
        module: Any = network.layer(i).loss
        context = ffprobe.LossContext(i, network.depth, 0, 0, activation, labels, input=inputs, module=module)
        total = total + made.setup.loss(network.layer(i).goodness(activation), labels, context)
        inputs = network.layer(i).pass_on(activation)
    parameters = {n: p for n, p in network.named_parameters() if p.requires_grad}
    expected = dict(zip(parameters, torch.autograd.grad(total, list(parameters.values())), strict=True))
    for update in made.learner.step(x, labels, 0, 0):
        assert tuple(update.layers) == (update.loss_layer,)
        for name, value in expected.items():
            torch.testing.assert_close(parameters[name].grad, value, rtol=1e-9, atol=1e-12, msg=name)


def test_summed_losses_of_one_group_are_backpropagation() -> None:
    ends = []
    for rule in ("summed-losses", "forward-forward"):
        made = experiment(rule, "no-label", "local-classifier", "cross-entropy", "whole", **CONV)
        made.network.train()
        for step in range(3):
            list(made.learner.step(*made.loader.preview(), step, 0))
        ends.append(made.network.named_state())
    for name, value in ends[0].items():
        torch.testing.assert_close(value, ends[1][name], rtol=1e-9, atol=1e-12, msg=name)


def test_vgg8b_keeps_as_many_pools_as_the_image_allows() -> None:
    network = make("vgg8b", width=0.125)
    assert [la.output_max_pool for la in network.layers((3, 32, 32), 10)] == [1, 2, 1, 2, 2, 2, 1]
    small = network.layers((1, 8, 8), 10)
    assert [la.output_max_pool for la in small] == [1, 2, 1, 2, 2, 1, 1]
    assert [la.width for la in small] == [16, 32, 32, 64, 64, 64, 128]
    assert [la.kind for la in small] == ["conv"] * 6 + ["linear"]


@pytest.mark.parametrize("preset", ["pred", "sim", "predsim", "olu-predsim"])
def test_presets_train_the_expected_parameters(preset: str) -> None:
    table = read_preset(preset)
    assert table["network"]["name"] == "vgg8b"
    small: dict[str, Any] = {"network": {"name": "vgg8b", "width": 0.05}, "precision": "fp64", "device": "cpu"}
    small |= {"probes": [], "training": {"max_images": 64, "epochs": 1, "batch_size": 32}}
    registry = Registry()
    config = resolve({**read_preset("vanilla-ff"), **table, **small}, registry)
    made = build(config, registry)
    made.network.train()
    before = {n: p.detach().clone() for n, p in made.network.named_parameters()}
    updates = list(made.learner.step(*made.loader.preview(), 0, 0))
    assert len(updates) == (3 if preset == "olu-predsim" else 7)
    moved = {n for n, p in made.network.named_parameters() if not torch.equal(p, before[n])}
    # D = 0 hands nothing back, so the first step of `pred` moves classifiers only
    assert any("conv.weight" in name for name in moved) == (preset != "pred")
    assert any("goodness" in name for name in moved)
