"""The options of a layer spec: the normalizer's position, the activation, pooling and shortcuts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from toy import toy_config

import ffprobe
from ffprobe.network.network import LayeredNetwork
from ffprobe.plugin.registry import Registry
from ffprobe.training.experiment import Experiment, build

Spec = ffprobe.LayerSpec


def network(
    *specs: Spec, position: str = "input", shape: tuple[int, ...] = (3, 8, 8), goodness: str = "mean-square"
) -> LayeredNetwork:
    class Fixed(ffprobe.Network):
        name = "fixed"

        def layers(self, shape: ffprobe.Shape, classes: int) -> list[Spec]:
            return list(specs)

    registry = Registry()
    made: dict[str, Any] = {}
    for kind, name, settings in (
        ("encoder", "no-label", {}),
        ("normalizer", "batchnorm", {"position": position}),
        ("goodness", goodness, {}),
    ):
        component: Any = registry.component(kind, name)
        made[kind] = component(component.Params(**settings))
    return LayeredNetwork(Fixed(), *made.values(), shape, 4).double()


def norm(x: torch.Tensor) -> torch.Tensor:
    mean, spread = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, unbiased=False)
    return (x - mean) / (spread + 1e-5).sqrt()


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(5, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("position", ["input", "preactivation", "activation", "output"])
def test_the_normalizer_is_applied_at_its_position(position: str, x: torch.Tensor) -> None:
    net = network(Spec("conv", 6, pool=2), position=position)
    layer = net.layer(0)
    z = functional.conv2d(norm(x) if position == "input" else x, layer.conv.weight, padding=1)
    z = norm(z) if position == "preactivation" else z
    activation = functional.max_pool2d(z.relu(), 2)
    activation = norm(activation) if position == "activation" else activation
    torch.testing.assert_close(layer(x), activation)
    passed = norm(activation) if position == "output" else activation
    torch.testing.assert_close(layer.pass_on(activation), passed)
    torch.testing.assert_close(layer.goodness(layer(x)), activation.square().flatten(1).mean(1))
    assert layer.normalizer.num_features == (3 if position == "input" else 6)


@pytest.mark.parametrize("name", ["relu", "leaky-relu", "tanh", "none", "function"])
def test_activations_and_pooling_commute(name: str, x: torch.Tensor) -> None:
    functions = {
        "relu": torch.relu,
        "leaky-relu": lambda a: torch.where(a > 0, a, 0.01 * a),
        "tanh": torch.tanh,
        "none": lambda a: a,
        "function": torch.cos,  # not monotonic, so pooling must come after it
    }
    activation: Any = torch.cos if name == "function" else name
    layer = network(Spec("conv", 6, pool=2, activation=activation)).layer(0)
    z = functional.conv2d(norm(x), layer.conv.weight, padding=1)
    torch.testing.assert_close(layer(x), functional.max_pool2d(functions[name](z), 2))


def test_kernel_stride_groups_and_input_pooling(x: torch.Tensor) -> None:
    layer = network(
        Spec("conv", 6, kernel=5, stride=2, groups=3, input_avg_pool=2, bias=True), position="output"
    ).layer(0)
    small = functional.avg_pool2d(x, 2)
    expected = functional.conv2d(small, layer.conv.weight, layer.conv.bias, stride=2, padding=2, groups=3).relu()
    torch.testing.assert_close(layer(x), expected)
    assert layer.output_shape == (6, 2, 2)


def test_the_output_may_be_pooled_after_goodness(x: torch.Tensor) -> None:
    net = network(Spec("conv", 6, output_max_pool=2), Spec("linear", 5), position="preactivation")
    first, second = net.activations(x, None)
    assert first.shape == (5, 6, 8, 8)
    assert net.layer(1).input_shape == (6, 4, 4)
    z = functional.max_pool2d(first, 2).flatten(1) @ net.layer(1).linear.weight.T
    mean, spread = z.mean(0), z.var(0, unbiased=False)
    torch.testing.assert_close(second, ((z - mean) / (spread + 1e-5).sqrt()).relu())


@pytest.mark.parametrize("join", ["add", "concat"])
def test_shortcuts_join_the_outputs_of_layers(join: str, x: torch.Tensor) -> None:
    cut = ffprobe.Shortcut(0, join, pool=2)  # type: ignore[arg-type]
    net = network(
        Spec("conv", 4), Spec("conv", 4, pool=2), Spec("conv", 4, shortcut=cut), Spec("conv", 4), position="output"
    )
    inputs: dict[int, torch.Tensor] = {}
    activations = list(net.activations(x, None, inputs))
    joined = functional.avg_pool2d(norm(activations[0]), 2)
    own = norm(activations[2])
    torch.testing.assert_close(inputs[3], own + joined if join == "add" else torch.cat([own, joined], 1))
    assert net.layer(3).input_shape == tuple(inputs[3].shape[1:])
    torch.testing.assert_close(activations[3], functional.conv2d(inputs[3], net.layer(3).conv.weight, padding=1).relu())


def test_a_layer_may_have_its_own_normalizer(x: torch.Tensor) -> None:
    none: Any = Registry().component("normalizer", "none")
    net = network(Spec("conv", 6), Spec("linear", 4, activation="none", normalizer=none()), position="preactivation")
    hidden, output = net.activations(x, None)
    torch.testing.assert_close(output, hidden.flatten(1) @ net.layer(1).linear.weight.T)
    assert not list(net.layer(1).normalizer.buffers())


@pytest.mark.parametrize("position", ["input", "preactivation", "activation", "output"])
def test_an_idle_layer_s_normalizer_sees_the_batch(position: str) -> None:
    made = _built(Four, "olu", "symba", f"batchnorm:position={position}")
    images, labels = made.loader.preview()
    made.network.train()
    for step in range(2):  # on the second step the last of four layers has no partner
        list(made.learner.step(images, labels, step, 0))
        counted = [int(made.network.layer(i).normalizer.num_batches_tracked) for i in range(4)]
        assert counted == [step + 1] * 4


def test_shortcuts_that_do_not_fit_are_refused() -> None:
    for cut in (ffprobe.Shortcut(0), ffprobe.Shortcut(1), ffprobe.Shortcut(7)):
        with pytest.raises(ffprobe.UsageError, match="shortcut"):
            network(Spec("conv", 4), Spec("conv", 4, pool=2, shortcut=cut))


class Resnet(ffprobe.Network):
    """Three convolutions with a shortcut past the second."""

    name = "resnet"
    detached = True

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[Spec]:
        cut = ffprobe.Shortcut(0, detached=self.detached)
        return [Spec("conv", 4), Spec("conv", 4, shortcut=cut), Spec("conv", 4)]


@pytest.mark.parametrize("detached", [True, False])
def test_a_shortcut_carries_gradients_within_a_group_unless_detached(
    detached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Resnet, "detached", detached)
    made = _built(Resnet, "no-label", "linear-head", "cross-entropy", "whole", "none")
    x, labels = made.loader.preview()
    weights = [made.network.layer(i).conv.weight for i in range(3)]
    a = functional.conv2d(x, weights[0], padding=1).relu()
    b = functional.conv2d(a, weights[1], padding=1).relu() + (a.detach() if detached else a)
    c = functional.conv2d(b, weights[2], padding=1).relu()
    loss = functional.cross_entropy(made.network.layer(2).goodness(c), labels)
    expected = torch.autograd.grad(loss, weights)
    for update in made.learner.step(x, labels, 0, 0):
        torch.testing.assert_close(update.loss, loss.detach())
        for weight, gradient in zip(weights, expected, strict=True):
            torch.testing.assert_close(weight.grad, gradient)


def test_a_shortcut_from_another_group_never_carries_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Resnet, "detached", False)
    made = _built(Resnet, "no-label", "linear-head", "cross-entropy", "greedy", "none")
    x, labels = made.loader.preview()
    for update in made.learner.step(x, labels, 0, 0):
        moved = [i for i in range(3) if made.network.layer(i).conv.weight.grad is not None]
        assert moved == [update.loss_layer]


class Four(ffprobe.Network):
    """Four convolutions."""

    name = "four"

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[Spec]:
        return [Spec("conv", 4)] * 4


class Logits(ffprobe.Goodness):
    """The activation itself."""

    name = "logits"
    form = "class"

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        return nn.Identity()


class Half(ffprobe.Loss):
    """Half a cross entropy."""

    name = "half"
    form = "class"

    def __call__(self, goodness: torch.Tensor, labels: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        return functional.cross_entropy(goodness, labels) / 2


class WithOutput(ffprobe.Network):
    """A hidden layer, and an output layer with goodness and loss of its own."""

    name = "with-output"

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[Spec]:
        output = Spec("linear", classes, bias=True, activation="none", goodness=Logits(), loss=Half())
        return [Spec("linear", 12), output]


def test_a_layer_may_have_its_own_goodness_and_loss() -> None:
    made = _built(WithOutput, "no-label", "linear-head", "cross-entropy", "greedy", "none")
    x, labels = made.loader.preview()
    logits = list(made.network.activations(x, None))[1]
    expected = functional.cross_entropy(logits, labels) / 2
    updates = list(made.learner.step(x, labels, 0, 0))
    torch.testing.assert_close(updates[1].loss, expected.detach())
    with pytest.raises(ffprobe.UsageError, match="form 'class'"):
        _built(WithOutput)


def _built(network: type[ffprobe.Network], *plugins: str) -> Experiment:
    registry = Registry()
    config = toy_config(registry, *plugins, precision="fp64")
    choice = type(config.slots["network"])(network, network.Params())
    return build(type(config)(config.settings, {**config.slots, "network": choice}), registry)
