"""What a layer costs: the multiplications and additions of its products."""

from __future__ import annotations

import copy

import torch
from torch.utils.flop_counter import FlopCounterMode

from ffprobe.components.base import Shape
from ffprobe.network.network import LayeredNetwork


def multiply_adds(network: LayeredNetwork, shape: Shape) -> list[int]:
    """Multiply-adds of each layer for one input: convolutions and matrix products, as torch counts them.

    Normalizers, activations, pooling and goodness are not counted.

    Args:
        network: not changed.
        shape: of an image (channels, height, width).
    """
    network = copy.deepcopy(network).float().cpu().eval()  # counting moves no running statistics and needs no device
    counted = []
    with torch.no_grad():
        inputs = {0: network.encode(torch.zeros(1, *shape), torch.zeros(1, dtype=torch.int64))}
        for index in range(network.depth):
            with FlopCounterMode(display=False) as counter:
                activation = network.layer(index)(inputs[index])
            counted.append(counter.get_total_flops() // 2)
            if index + 1 < network.depth:
                inputs[index + 1] = network.pass_on(index, activation, inputs)
    return counted
