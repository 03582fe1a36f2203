"""Formulas of the components that came with the recordings of 2026, in closed form."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from ffprobe_plugins.goodness.prototype_cosine import PrototypeCosine
from ffprobe_plugins.losses.infopro import InfoPro
from ffprobe_plugins.losses.midpoint import Midpoint
from ffprobe_plugins.networks.resnet import copied_layers
from ffprobe_plugins.networks.softhebb import Triangle
from ffprobe_plugins.normalizers.layernorm import LayerNorm
from ffprobe_plugins.rules.feedback_maps import FeedbackLinear
from ffprobe_plugins.rules.sign_symmetry import SignSymmetry
from ffprobe_plugins.schedulers.alternating import Alternating
from ffprobe_plugins.schedulers.local_modules import LocalModules

import ffprobe
from ffprobe.config.settings import Training
from ffprobe.training.optimizers import build_optimizer


def settings(component: Any, **values: Any) -> Any:
    return component(component.Params(**values))


def test_clipping_scales_all_gradients_of_an_optimizer_to_the_largest_norm() -> None:
    first, second = torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(1))
    chosen = Training(optimizer="sgd", momentum=0, learning_rate=1, gradient_clip=1)
    optimizer = build_optimizer([first, second], chosen)
    first.grad, second.grad = torch.tensor([3.0]), torch.tensor([4.0])
    optimizer.step()
    assert first.item() == pytest.approx(-0.6) and second.item() == pytest.approx(-0.8)
    first.grad, second.grad = torch.tensor([0.3]), torch.tensor([0.4])  # a norm of 0.5 stays
    optimizer.step()
    assert first.item() == pytest.approx(-0.9) and second.item() == pytest.approx(-1.2)


def test_nesterov_looks_ahead_by_the_momentum() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = build_optimizer([weight], Training(optimizer="sgd", momentum=0.5, learning_rate=1, nesterov=True))
    weight.grad = torch.ones(1)
    optimizer.step()
    assert weight.item() == pytest.approx(-1.5)  # g + 0.5 v with v = g


def test_the_midpoint_is_between_the_means_and_carries_no_gradient() -> None:
    positive, negative = torch.tensor([3.0], requires_grad=True), torch.tensor([1.0], requires_grad=True)
    given = ffprobe.LossContext(0, 1, 0, 0, torch.zeros(2, 1), torch.zeros(1, dtype=torch.int64))
    loss = Midpoint()(positive, negative, given)
    assert loss.item() == pytest.approx(2 * math.log1p(math.exp(-1)))
    loss.backward()
    assert positive.grad is not None and positive.grad.item() == pytest.approx(-1 / (1 + math.e))


def test_a_prototype_of_the_same_direction_scores_tau() -> None:
    module: Any = settings(PrototypeCosine, tau=7.0, dimensions=2).build((2,), 2)
    with torch.no_grad():
        module.projection.weight.copy_(torch.eye(2))
        module.projection.bias.zero_()
        module.prototypes.copy_(torch.tensor([[5.0, 0.0], [0.0, 0.1]]))
    got = module(torch.tensor([[0.2, 0.0], [1.0, 1.0]]))
    torch.testing.assert_close(got, torch.tensor([[7.0, 0.0], [7 / 2**0.5, 7 / 2**0.5]]))


def test_layer_normalization_over_channels_treats_each_position_alone() -> None:
    module = settings(LayerNorm, over="channels").build((2, 1, 2))
    got = module(torch.tensor([[[[1.0, 10.0]], [[3.0, 30.0]]]]))
    torch.testing.assert_close(got, torch.tensor([[[[-1.0, -1.0]], [[1.0, 1.0]]]]), atol=1e-4, rtol=0)


def test_the_triangle_passes_what_exceeds_the_mean_of_the_channels() -> None:
    got = Triangle(2.0)(torch.tensor([[[[0.0]], [[1.0]], [[5.0]]]]))
    torch.testing.assert_close(got.flatten(), torch.tensor([0.0, 0.0, 9.0]))


def test_halves_of_the_network_take_turns_by_the_epoch() -> None:
    scheduler = Alternating()
    assert scheduler.groups(7, 0, 5) == [slice(0, 1), slice(2, 3), slice(4, 5)]
    assert scheduler.groups(0, 1, 5) == [slice(1, 2), slice(3, 4)]


def test_local_modules_end_where_they_are_told_or_leave_the_last_layers_together() -> None:
    assert settings(LocalModules, ends=(1, 3)).groups(0, 0, 4) == [slice(0, 1), slice(1, 3), slice(3, 4)]
    assert settings(LocalModules, last=3).groups(0, 0, 5) == [slice(0, 1), slice(1, 2), slice(2, 5)]


def test_auxiliary_networks_copy_layers_at_equal_distances() -> None:
    assert copied_layers(0, 16, 3) == [5, 10, 15]
    assert copied_layers(13, 16, 3) == [14, 15]
    assert copied_layers(0, 6, 2) == [2, 5]  # 2.5 is rounded to the even number


def test_infopro_weighs_its_terms_by_depth() -> None:
    loss = settings(InfoPro, reconstruction=(4.0, 0.0), classification=(0.0, 2.0), mean=(0.0,), std=(1.0,))
    loss.prepare((1, 2, 2))
    goodness, labels, blank = torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64), torch.zeros(1, 1, 2, 2)
    linear = torch.nn.Linear(2, 2)
    torch.nn.init.zeros_(linear.weight)
    torch.nn.init.zeros_(linear.bias)
    half = torch.nn.Sequential(linear, torch.nn.Sigmoid())
    values = []
    for layer in range(4):
        given = ffprobe.LossContext(layer, 4, 0, 0, blank, labels, module=half, images=blank)
        values.append(loss(goodness, labels, given).item() / math.log(2))  # both terms are log 2
    assert values == pytest.approx([4.0, 2.0 + 1.0, 2.0, 1.0])


@pytest.mark.parametrize(("start", "scale"), [("xavier", math.sqrt(2 / 5)), ("torch", 1 / 3)])
def test_errors_go_back_through_signs(start: str, scale: float) -> None:
    rule = settings(SignSymmetry, start=start)
    original = torch.nn.Linear(3, 2)
    with torch.no_grad():
        original.weight.copy_(torch.tensor([[0.5, -2.0, 0.0], [-1.0, 3.0, 7.0]]))
    made = FeedbackLinear(original, lambda weight: rule.magnitude("layers.1.linear", weight), signed=True)
    x = torch.ones(1, 3, requires_grad=True)
    made(x).backward(torch.tensor([[1.0, 10.0]]))
    assert x.grad is not None
    torch.testing.assert_close(x.grad, scale * torch.tensor([[1.0 - 10.0, -1.0 + 10.0, 10.0]]))
