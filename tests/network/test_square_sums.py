"""Sums of squares of rows; half precision is summed in float32."""

from __future__ import annotations

import pytest
import torch

import ffprobe
from ffprobe.network import square_sums as module


def reference(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The sums and the gradient of a weighted sum of them, through a float32 copy."""
    leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
    sums = leaf.float().square().flatten(1).sum(dim=1) if x.dtype.itemsize == 2 else leaf.square().flatten(1).sum(dim=1)
    (sums * torch.arange(1, len(x) + 1)).sum().backward()
    return sums.detach(), leaf.grad  # type: ignore[return-value]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(7, 3, 5, 4), (7, 11), (7,)])
@pytest.mark.parametrize("together", [1, 100, 1 << 18])
def test_sums_and_gradients(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, shape: tuple[int, ...], together: int
) -> None:
    monkeypatch.setattr(module, "CACHED", together)  # rows are converted in chunks of any size
    x = torch.randn(shape).to(dtype)
    if len(shape) == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    if len(shape) == 1:
        x = x[:, None]
    leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
    sums = ffprobe.square_sums(leaf)
    (sums * torch.arange(1, len(x) + 1)).sum().backward()
    expected, gradient = reference(x)
    assert sums.dtype == (torch.float32 if x.dtype.itemsize == 2 else dtype)
    torch.testing.assert_close(sums.detach(), expected)
    assert leaf.grad is not None
    assert torch.equal(leaf.grad, gradient)
    assert leaf.grad.stride() == x.stride()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_gradient_can_be_differentiated_again(dtype: torch.dtype) -> None:
    x = torch.randn(4, 6).to(dtype).requires_grad_()
    (first,) = torch.autograd.grad(ffprobe.square_sums(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first, x, torch.ones_like(x))
    torch.testing.assert_close(second, torch.full_like(x, 2))


def test_sums_too_large_for_half_precision_are_exact() -> None:
    assert ffprobe.square_sums(torch.full((1, 1000), 100.0, dtype=torch.float16)).item() == 1e7


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_images_have_no_sums(dtype: torch.dtype) -> None:
    assert ffprobe.square_sums(torch.zeros(0, 3, 2, 2, dtype=dtype)).shape == (0,)
