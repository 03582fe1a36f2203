"""Pooling over memory that is handed on: torch's numbers and gradients, whatever the order of graphs."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from ffprobe.network import pooling
from ffprobe.network.pooling import max_pool, pool_memory, pool_owned

LAYOUTS = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}


def both(x: torch.Tensor, side: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Output and gradient, ours and torch's."""
    told = []
    for pool in (pool_owned, functional.max_pool2d):
        leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
        out = pool(leaf.mul(1), side)  # a copy that nothing else reads
        out.square().sum().backward()
        told += [out.detach(), leaf.grad]
    return tuple(told)  # type: ignore[return-value]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("side", "height", "width"), [(2, 8, 6), (2, 7, 9), (3, 9, 7)])
def test_it_is_max_pooling(layout: str, dtype: torch.dtype, side: int, height: int, width: int) -> None:
    x = torch.randn(5, 3, height, width).to(dtype).contiguous(memory_format=LAYOUTS[layout])
    out, gradient, expected, theirs = both(x, side)
    assert torch.equal(out, expected)
    assert out.stride() == expected.stride()
    assert torch.equal(gradient, theirs)


def test_equal_numbers_teach_the_same_one_as_in_torch() -> None:
    _, gradient, _, theirs = both(torch.ones(2, 2, 4, 4), 2)
    assert torch.equal(gradient, theirs)


def test_graphs_that_live_at_once_do_not_share_places() -> None:
    first, second = (torch.randn(2, 3, 6, 6).requires_grad_() for _ in range(2))
    a, b = pool_owned(first.mul(1), 2), pool_owned(second.mul(1), 2)
    (a.sum() + b.sum()).backward()
    for x in (first, second):
        (expected,) = torch.autograd.grad(functional.max_pool2d(x, 2).sum(), x)
        assert torch.equal(x.grad, expected)


def test_a_graph_may_be_walked_back_twice() -> None:
    x = torch.randn(2, 3, 6, 6).requires_grad_()
    total = pool_owned(x.mul(1), 2).sum()
    (once,) = torch.autograd.grad(total, x, retain_graph=True)
    (again,) = torch.autograd.grad(2 * total, x)
    assert torch.equal(2 * once, again)


def test_memory_is_handed_on_and_let_go() -> None:
    pooling._free.clear()
    with pool_memory():
        for _ in range(3):
            pool_owned(torch.randn(2, 3, 6, 6).requires_grad_().mul(1), 2).sum().backward()
        assert len(pooling._free) == 1
    assert not pooling._free


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("side", "height", "width"), [(2, 8, 6), (2, 7, 9), (3, 9, 7), (2, 2, 2)])
def test_without_a_gradient_numbers_and_layout_are_the_same(
    layout: str, dtype: torch.dtype, side: int, height: int, width: int
) -> None:
    x = torch.randn(5, 3, height, width).to(dtype).contiguous(memory_format=LAYOUTS[layout])
    out, expected = max_pool(x, side), functional.max_pool2d(x, side)
    assert torch.equal(out, expected)
    assert out.stride() == expected.stride()


def test_without_a_gradient_no_places_are_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functional, "max_pool2d", None)
    x = torch.randn(2, 3, 6, 6).contiguous(memory_format=torch.channels_last)
    assert max_pool(x, 2).shape == (2, 3, 3, 3)


def test_what_is_no_number_is_handed_on() -> None:
    x = torch.zeros(1, 2, 4, 4).contiguous(memory_format=torch.channels_last)
    x[0, 1, 1, 2] = torch.nan
    assert torch.equal(max_pool(x, 2).isnan(), functional.max_pool2d(x, 2).isnan())


def test_without_gradients_it_is_the_ordinary_function() -> None:
    x = torch.randn(2, 3, 6, 6)
    assert torch.equal(pool_owned(x, 2), functional.max_pool2d(x, 2))
    assert not pool_owned(x, 2).requires_grad
