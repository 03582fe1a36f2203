"""Variants of Forward-Forward's parts against values computed by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from ffprobe_plugins.goodness.entmax_energy import entmax

import ffprobe
from ffprobe.plugin.registry import Registry

POSITIVE, NEGATIVE = torch.tensor([3.0, 1.0]), torch.tensor([1.0, 1.5])
EARLIER = (
    (torch.tensor([1.0, 2.0]), torch.tensor([0.5, 0.0])),  # margins 0.5 and 2
    (torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])),  # margins -1 and 1
)


def make(name: str, **params: Any) -> Any:
    component = Registry().load(name)[0]
    return component(component.Params(**params))


def context(earlier: Any = ()) -> ffprobe.LossContext:
    return ffprobe.LossContext(2, 3, 0, 0, torch.zeros(4, 1), torch.zeros(2, dtype=torch.int64), earlier)


def softplus(x: float) -> float:
    return math.log(1 + math.exp(x))


def test_cumulative_by_hand() -> None:
    # own margins 2 and -0.5, earlier ones sum to -0.5 and 3
    expected = (softplus(-4 * (2 - 0.5 * 0.7)) + softplus(-4 * (-0.5 + 3 * 0.7))) / 2
    assert make("cumulative")(POSITIVE, NEGATIVE, context(EARLIER)).item() == pytest.approx(expected, rel=1e-5)
    alone = make("symba")(POSITIVE, NEGATIVE, context()).item()
    assert make("cumulative", gamma=0)(POSITIVE, NEGATIVE, context(EARLIER)).item() == pytest.approx(alone)


def test_cumulative_attenuates_as_the_free_riding_analysis_predicts() -> None:
    # the gradient with earlier margins over the one without is R of that analysis
    margin, before = np.array([0.3, -0.2]), np.array([0.9, 0.1])
    gradients = []
    for gamma in (0.7, 0.0):
        m = torch.tensor(margin, requires_grad=True)
        earlier = ((torch.tensor(before), torch.zeros(2, dtype=torch.float64)),)
        make("cumulative", gamma=gamma)(m, torch.zeros(2, dtype=torch.float64), context(earlier)).backward()
        assert m.grad is not None
        gradients.append(m.grad.numpy())
    expected = (1 + np.exp(4 * margin)) / (1 + np.exp(4 * (margin + 0.7 * before)))
    np.testing.assert_allclose(gradients[0] / gradients[1], expected, rtol=1e-9)


def test_layer_collaboration_by_hand() -> None:
    # positives 3 + 1 + 0 and 1 + 2 + 1, negatives 1 + 0.5 + 1 and 1.5 + 0 + 0
    expected = sum(softplus(x) for x in (2 - 4.0, 2 - 4.0, 2.5 - 2, 1.5 - 2)) / 4
    assert make("layer-collaboration")(POSITIVE, NEGATIVE, context(EARLIER)).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["cumulative", "layer-collaboration"])
def test_earlier_layers_get_no_gradient(name: str) -> None:
    earlier = tuple((a.clone().requires_grad_(), b.clone().requires_grad_()) for a, b in EARLIER)
    own = POSITIVE.clone().requires_grad_()
    make(name)(own, NEGATIVE, context(earlier)).backward()
    assert own.grad is not None
    assert all(part.grad is None for pair in earlier for part in pair)


def test_top_k_by_hand() -> None:
    activation = torch.tensor([[1.0, -4.0, 3.0, 0.0, 2.0], [0.0, 0.0, 0.0, 0.0, 1.0]])
    assert make("top-k", share=0.4).build((5,), 10)(activation).tolist() == [12.5, 0.5]
    assert make("top-k", share=0.01).build((5,), 10)(activation).tolist() == [16.0, 1.0]
    whole = make("top-k", share=1).build((5,), 10)(activation)
    torch.testing.assert_close(whole, make("mean-square").build((5,), 10)(activation))


def test_entmax_by_its_definition() -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(6, 9, generator=random, dtype=torch.float64) * torch.tensor([0.0, 0.1, 1, 3, 10, 100])[:, None]
    p = entmax(x)
    torch.testing.assert_close(p.sum(1), torch.ones(6, dtype=torch.float64))
    for row, weights in zip(x / 2, p, strict=True):
        low, high = float(row.max()) - 1, float(row.max())  # the threshold lies here, and the sum falls with it
        for _ in range(80):
            middle = (low + high) / 2
            low, high = (middle, high) if float((row - middle).clamp(min=0).square().sum()) > 1 else (low, middle)
        torch.testing.assert_close(weights, (row - low).clamp(min=0).square(), atol=1e-9, rtol=0)
    assert (p[3:] == 0).any()
    assert torch.autograd.gradcheck(entmax, (x[1:4].clone().requires_grad_(),))


def test_entmax_energy_by_hand() -> None:
    # z = (1, 0): both inside, (1 - t)^2 + t^2 = 1 at t = 0, so all weight is on the first; equal ones share it
    module = make("entmax-energy").build((2,), 10)
    assert module(torch.tensor([[2.0, 0.0], [3.0, 3.0]])).tolist() == pytest.approx([4.0, 9.0], rel=1e-5)
    # z = (1/2, 0): t = (1 - sqrt 7) / 4
    t = (1 - math.sqrt(7)) / 4
    assert module(torch.tensor([[1.0, 0.0]])).item() == pytest.approx((0.5 - t) ** 2, rel=1e-5)
    wide = make("entmax-energy", temperature=2.0).build((2,), 10)
    assert wide(torch.tensor([[2.0, 0.0]])).item() == pytest.approx(4 * (0.5 - t) ** 2, rel=1e-5)


def test_rolling_batchnorm_by_hand() -> None:
    module = make("rolling-batchnorm", momentum=0.5).build((1,)).train()
    assert module(torch.tensor([[4.0]])).item() == pytest.approx(4 / math.sqrt(1 + 1e-5))
    # mean 0 -> 2, then the deviation from 2: variance 1 -> (1 + 4) / 2
    assert module.running_mean.item() == 2.0 and module.running_var.item() == 2.5
    for mode in (False, True):
        out = module.train(mode)(torch.tensor([[4.0]]))
        assert out.item() == pytest.approx((4 - 2) / math.sqrt(2.5 + 1e-5))
    assert module.running_mean.item() == 3.0 and module.running_var.item() == (2.5 + 1) / 2


def test_the_averages_of_rolling_batchnorm_carry_no_gradient() -> None:
    module = make("rolling-batchnorm").build((2, 1, 2)).train()
    x = torch.randn(3, 2, 1, 2, requires_grad=True)
    module(torch.randn(5, 2, 1, 2))
    scale = (module.running_var + 1e-5).rsqrt().detach().clone()
    module(x)[0].sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad[0, :, 0, 0], scale)
    assert x.grad[1:].abs().max() == 0


def test_rolling_averages_approach_those_of_the_data() -> None:
    module = make("rolling-batchnorm", momentum=0.01).build((1,)).train()
    random = torch.Generator().manual_seed(0)
    for _ in range(3000):
        module(3 + 2 * torch.randn(1, 1, generator=random))
    assert module.running_mean.item() == pytest.approx(3, abs=0.5)
    assert module.running_var.item() == pytest.approx(4, abs=1.2)
