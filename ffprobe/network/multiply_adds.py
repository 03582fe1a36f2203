"""The cost of a layer: the multiply-adds of its convolutions and matrix products."""

from __future__ import annotations

import copy

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ffprobe.components.base import Shape
from ffprobe.network.network import LayeredNetwork


def multiply_adds(network: LayeredNetwork, shape: Shape) -> list[int]:
    """Multiply-adds of each layer for one input: convolutions and matrix products (of attention too), as counted
    by torch.

    Normalizers, activations, pooling and goodness are not counted.

    Args:
        network: the network; not changed.
        shape: shape of one input, without the batch dimension.
    """
    network = copy.deepcopy(network).float().cpu().eval()  # a copy: no running statistics change, no GPU is needed
    counts = []
    with torch.no_grad():
        inputs = {0: network.encode(torch.zeros(1, *shape), torch.zeros(1, dtype=torch.int64))}
        for index in range(network.depth):
            # torch does not count its fused attention on a CPU; this backend computes it by matrix products
            with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
                activation = network.layer(index)(inputs[index])
            counts.append(counter.get_total_flops() // 2)
            if index + 1 < network.depth:
                inputs[index + 1] = network.pass_on(index, activation, inputs)
    return counts
