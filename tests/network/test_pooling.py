"""Pooling without indices gives the results of torch's max_pool2d."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from ffprobe.network.pooling import max_pool

LAYOUTS = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("side", "height", "width"), [(2, 8, 6), (2, 7, 9), (3, 9, 7), (2, 2, 2)])
def test_without_a_gradient_results_and_layout_are_the_same(
    layout: str, dtype: torch.dtype, side: int, height: int, width: int
) -> None:
    x = torch.randn(5, 3, height, width).to(dtype).contiguous(memory_format=LAYOUTS[layout])
    out, expected = max_pool(x, side), functional.max_pool2d(x, side)
    assert torch.equal(out, expected)
    assert out.stride() == expected.stride()


def test_without_a_gradient_no_indices_are_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functional, "max_pool2d", None)
    x = torch.randn(2, 3, 6, 6).contiguous(memory_format=torch.channels_last)
    assert max_pool(x, 2).shape == (2, 3, 3, 3)


def test_nan_is_propagated() -> None:
    x = torch.zeros(1, 2, 4, 4).contiguous(memory_format=torch.channels_last)
    x[0, 1, 1, 2] = torch.nan
    assert torch.equal(max_pool(x, 2).isnan(), functional.max_pool2d(x, 2).isnan())


def test_with_a_gradient_it_is_the_function_of_torch() -> None:
    x = torch.randn(2, 3, 6, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    max_pool(x, 2).sum().backward()
    (expected,) = torch.autograd.grad(functional.max_pool2d(x, 2).sum(), x)
    assert torch.equal(x.grad, expected)
