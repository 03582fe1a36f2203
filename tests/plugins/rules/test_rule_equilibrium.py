"""Equilibrium propagation: backpropagation's gradient for small nudges, states in closed form, and refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from toy import toy_config

import ffprobe
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import Experiment, build

WORDS = ("no-label", "linear-head", "cross-entropy", "whole", "none", "sgd")


def experiment(depth: int = 3, network: str = "fcn", **rule: Any) -> Experiment:
    registry = Registry()
    size = {"width": 0.01, "depth": depth} if network == "fcn" else {"width": 0.1}
    config = toy_config(
        registry,
        *WORDS[:-1],
        network={"name": network, **size},
        rule={"name": "equilibrium-propagation", **rule},
        precision="fp64",
        training={"optimizer": "sgd", "epochs": 1, "batch_size": 16},
    )
    made = build(config, registry)
    made.network.train()
    made.learner.set_learning_rate(0.0)
    return made


def gradients(made: Experiment) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The rule's gradients of one batch, and those of backpropagation."""
    images, labels, _ = next(iter(made.loader))
    # digits have blank regions, where equal values tie in max pooling and the loss has no gradient
    images = torch.randn(images.shape, dtype=images.dtype, generator=torch.Generator().manual_seed(0))
    step = made.learner.step(images, labels, 0, 0)
    update = next(step)  # its gradients are cleared afterwards
    found = {name: p.grad.clone() for name, p in made.network.named_parameters() if p.grad is not None}
    x = made.network.encode(images, None)
    for index in range(made.network.depth):
        x = made.network.layer(index)(x)
    loss = torch.nn.functional.cross_entropy(made.network.layer(made.network.depth - 1).goodness(x), labels)
    assert float(update.loss) == pytest.approx(float(loss.detach()))
    names = list(found)
    expected = torch.autograd.grad(loss, [dict(made.network.named_parameters())[name] for name in names])
    return found, dict(zip(names, expected, strict=True))


def distance(made: Experiment) -> float:
    """The largest relative distance of a parameter's gradient from backpropagation's."""
    found, expected = gradients(made)
    assert len(found) == 2 * (made.network.depth + 1)  # weights and biases of the layers and of the output
    return max(float((found[name] - g).norm() / g.norm()) for name, g in expected.items())


@pytest.mark.parametrize("network", ["fcn", "vgg5"])
def test_small_nudges_give_the_gradient_of_backpropagation(network: str) -> None:
    assert distance(experiment(network=network, beta=1e-7, sweeps=12)) < 1e-4


def test_the_published_nudge_is_near_it_and_its_error_is_of_second_order() -> None:
    assert distance(experiment(beta=0.02, sweeps=5)) < 0.1  # a few units cross the kink of their ReLU
    found = [distance(experiment(depth=1, beta=beta, sweeps=20)) for beta in (0.04, 0.02)]
    assert found[0] / found[1] == pytest.approx(4, rel=0.1)


def test_errors_need_sweeps_to_travel_down() -> None:
    moved = []
    for sweeps in (1, 2, 3):
        found, _ = gradients(experiment(depth=5, beta=1e-5, sweeps=sweeps))
        moved.append([i + 1 for i in range(5) if float(found[f"layers.{i}.linear.weight"].norm()) > 0])
    # the output is layer 6: an even layer and then an odd one learn of the error in every sweep
    assert moved == [[5], [3, 4, 5], [1, 2, 3, 4, 5]]


def test_the_states_of_one_layer_in_closed_form() -> None:
    """One hidden layer: y = a -+ beta (softmax(y) - t), h = relu(a_1 + W' (y - W h - c)), at their fixed point."""
    made = experiment(depth=1, beta=0.1, sweeps=60)
    learner: Any = made.learner
    images, labels, _ = next(iter(made.loader))
    x = made.network.encode(images, None).detach()
    states = [x, learner.drive(0, x).relu()]
    states.append(learner.drive(1, states[1]))
    first, h, y = learner.settle([torch.cat([s, s]).detach() for s in states], labels, 0, 0)
    layer, both = made.network.layer(0), torch.cat([labels, labels])
    head = dict(layer.goodness.named_parameters())
    nudge = torch.cat([torch.full((len(x), 1), 0.1), torch.full((len(x), 1), -0.1)]).double()
    a = h @ head["linear.weight"].T + head["linear.bias"]
    slope = y.softmax(dim=1) - torch.nn.functional.one_hot(both, 10)
    torch.testing.assert_close(y, a - nudge * slope)
    torch.testing.assert_close(h, (layer.map(first.flatten(1)) + (y - a) @ head["linear.weight"]).relu())


def test_initial_weights_are_uniform_with_gain_one() -> None:
    weight = experiment(depth=1).network.layer(0).weight.detach()
    bound = (3 / weight.shape[1]) ** 0.5
    assert float(weight.abs().max()) <= bound
    assert float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.05)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("greedy",), r"whole network.*whole"),
        (("batchnorm",), r"without normalizers.*none"),
        (("mean-square", "symba", "label-channel"), r"every class.*linear-head"),
    ],
    ids=["greedy", "batchnorm", "pair"],
)
def test_refusals_name_what_helps(words: tuple[str, ...], message: str) -> None:
    registry = Registry()
    kinds = [next(o.kind for p in registry.plugins for o in p.offers if o.name == word) for word in words]
    base = {word: next(o.kind for p in registry.plugins for o in p.offers if o.name == word) for word in WORDS[:-1]}
    kept = [word for word, kind in base.items() if kind not in kinds]
    config = toy_config(registry, *kept, *words, "equilibrium-propagation")
    with pytest.raises(ffprobe.UsageError, match=message):
        build(config, registry)
