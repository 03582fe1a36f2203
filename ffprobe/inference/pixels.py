"""Pixels as a network takes them: on its device, normalized, in its dtype and memory layout."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ffprobe.data.loader import normalize
from ffprobe.network.network import LayeredNetwork


def network_input(
    network: LayeredNetwork, pixels: torch.Tensor, mean: Sequence[float], std: Sequence[float]
) -> torch.Tensor:
    """Normalized images ``[B, C, H, W]`` on the network's device, in its dtype, with channels last.

    Args:
        network: whose device and dtype count.
        pixels: uint8 ``[B, C, H, W]``, 0 to 255, on any device.
        mean: of each channel, on the scale 0 to 1.
        std: standard deviation of each channel, on the scale 0 to 1.
    """
    parameter = next(network.parameters())
    x = normalize(pixels.to(parameter.device, non_blocking=True), mean, std)
    layout = torch.channels_last if x.dim() == 4 else torch.preserve_format
    return x.to(parameter.dtype, memory_format=layout)
