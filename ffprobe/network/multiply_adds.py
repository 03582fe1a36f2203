"""What a layer costs: the multiplications and additions of its products."""

from __future__ import annotations

import copy

import torch
from torch.utils.flop_counter import FlopCounterMode

from ffprobe.components.base import Shape
from ffprobe.network.network import Stack


def multiply_adds(stack: Stack, shape: Shape) -> list[int]:
    """Multiply-adds of each layer for one input: convolutions and matrix products, as torch counts them.

    Normalizers, activations, pooling and goodness are not counted.

    Args:
        stack: not changed.
        shape: of an image (channels, height, width).
    """
    stack = copy.deepcopy(stack).float().cpu().eval()  # counting moves no running statistics and needs no device
    counted = []
    with torch.no_grad():
        inputs = {0: stack.encode(torch.zeros(1, *shape), torch.zeros(1, dtype=torch.int64))}
        for index in range(stack.depth):
            with FlopCounterMode(display=False) as counter:
                activation = stack.layer(index)(inputs[index])
            counted.append(counter.get_total_flops() // 2)
            if index + 1 < stack.depth:
                inputs[index + 1] = stack.pass_on(index, activation, inputs)
    return counted
