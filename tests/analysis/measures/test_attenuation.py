"""Free riding against brute force in 60 decimal digits."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest

import ffprobe


def brute(margins: np.ndarray, beta: float, gamma: float) -> list[tuple[float, float, float, float]]:
    """(F, median R, starved, coverage) of each layer from the definition, with high precision."""
    found = []
    with localcontext(prec=60, Emax=10**9, Emin=-(10**9)):
        b, g, one = Decimal(beta), Decimal(gamma), Decimal(1)
        exact = [[Decimal(float(m)) for m in layer] for layer in margins]
        for d, layer in enumerate(exact):
            before = [sum((exact[j][n] for j in range(d)), Decimal(0)) for n in range(len(layer))]
            r = [(one + (b * m).exp()) / (one + (b * (m + g * p)).exp()) for m, p in zip(layer, before, strict=True)]
            ranked, n = sorted(r), len(r)
            found.append(
                (
                    float(sum(one - min(one, x) for x in r) / n),
                    float((ranked[(n - 1) // 2] + ranked[n // 2]) / 2),
                    sum(x <= Decimal("0.01") for x in r) / n,
                    sum(m >= 0 and p >= 0 for m, p in zip(layer, before, strict=True)) / n,
                )
            )
    return found


@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0])
@pytest.mark.parametrize("gamma", [0.7, 1.0])
def test_it_equals_the_definition_in_high_precision(scale: float, gamma: float) -> None:
    margins = scale * (np.random.default_rng(1).normal(size=(4, 30)) + 0.5)
    for result, (f, median, starved, coverage) in zip(
        ffprobe.attenuation(margins, 4.0, gamma), brute(margins, 4.0, gamma), strict=True
    ):
        assert result.free_riding == pytest.approx(f, rel=1e-10, abs=1e-15)
        assert result.starved == starved
        assert result.coverage == coverage
        if median < 1e300:
            assert result.median == pytest.approx(median, rel=1e-9)


def test_closed_forms() -> None:
    first, second = ffprobe.attenuation([[0.0, 0.0], [0.0, 0.0]], 4, 1)
    assert (first.free_riding, first.median, second.free_riding, second.median) == (0, 1, 0, 1)
    # m = 0, P = p: R = 2 / (1 + e^(beta gamma p))
    result = ffprobe.attenuation([[0.5], [0.0]], 4, 0.5)[1]
    assert result.median == pytest.approx(2 / (1 + np.e))
    assert result.free_riding == pytest.approx(1 - 2 / (1 + np.e))


def test_nothing_is_removed_without_gamma() -> None:
    for result in ffprobe.attenuation(np.random.default_rng(0).normal(size=(3, 9)) * 50, 4, 0):
        assert (result.free_riding, result.median, result.starved) == (0, 1, 0)


def test_r_is_the_ratio_of_the_gradients_of_the_losses() -> None:
    import torch

    m = torch.tensor([0.3, -0.7, 1.1], dtype=torch.float64, requires_grad=True)
    p = torch.tensor([0.5, 0.2, -0.4], dtype=torch.float64)
    grads = [torch.autograd.grad(torch.nn.functional.softplus(-4 * total).sum(), m)[0] for total in (m + 0.7 * p, m)]
    left = (grads[0] / grads[1]).numpy()
    result = ffprobe.attenuation(np.stack([p.numpy(), m.detach().numpy()]), 4, 0.7)[1]
    assert result.free_riding == pytest.approx((1 - np.minimum(1, left)).mean())
    assert result.median == pytest.approx(np.median(left))


def test_huge_margins_neither_overflow_nor_underflow() -> None:
    result = ffprobe.attenuation([[1e5, -1e5, 3.0], [1e5, 1e5, -1e5]], 4, 1)[1]
    assert result.free_riding == pytest.approx(1 / 3)  # starved; R > 1; R = 1 as both terms are negligible beside 1
    assert result.starved == pytest.approx(1 / 3)


@pytest.mark.parametrize("margins", [[[np.nan]], [[np.inf, 0.0]], np.zeros((3, 0))])
def test_nonfinite_margins_are_refused(margins: object) -> None:
    with pytest.raises(ValueError, match="finite margins"):
        ffprobe.attenuation(margins, 4, 1)
