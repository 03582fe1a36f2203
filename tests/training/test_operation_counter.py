"""Multiply-adds and bytes of torch's operations, by hand."""

from __future__ import annotations

import torch
from torch import nn

from ffprobe.training.operation_counter import OperationCounter


def test_a_product_forward_and_backward() -> None:
    weight = torch.randn(5, 7, requires_grad=True)
    x = torch.randn(3, 5)
    with OperationCounter() as forward:
        y = x @ weight
    assert forward.multiply_adds == 3 * 5 * 7
    assert forward.bytes == 4 * (3 * 5 + 5 * 7 + 3 * 7)
    with OperationCounter() as backward:
        y.backward(torch.ones_like(y))
    assert backward.multiply_adds == 3 * 5 * 7  # only the weight has a gradient


def test_a_convolution_with_its_backward_pass() -> None:
    layer, x = nn.Conv2d(2, 4, 3, padding=1, bias=False), torch.randn(6, 2, 8, 8, requires_grad=True)
    with OperationCounter() as counter:
        layer(x).sum().backward()
    assert counter.multiply_adds == 3 * 6 * 2 * 4 * 9 * 64  # forward, gradient of the input, gradient of the weight


def test_views_cost_nothing_and_changes_in_place_are_written() -> None:
    x = torch.zeros(10)
    with OperationCounter() as counter:
        x.view(2, 5).t()[0]
    assert counter.bytes == 0
    with OperationCounter() as counter:
        x.add_(1)
    assert counter.bytes == 80


def test_bfloat16_moves_half_as_much() -> None:
    counts = []
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.zeros(8, 8, dtype=dtype)
        with OperationCounter() as counter:
            a @ a
        counts.append(counter.bytes)
    assert counts[0] == 2 * counts[1]
