"""Stored inputs as a network takes them: on its device, normalized, in its dtype and memory layout."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ffprobe.data.normalize import channels_last, normalize
from ffprobe.network.network import LayeredNetwork


def network_input(
    network: LayeredNetwork, inputs: torch.Tensor, mean: Sequence[float], std: Sequence[float]
) -> torch.Tensor:
    """Normalized inputs ``[B, *shape]`` on the network's device, in its dtype; images with channels last.

    Args:
        network: whose device and dtype count.
        inputs: as ``Samples.inputs``, on any device.
        mean: of each feature or channel, as ``Samples.mean``.
        std: standard deviation of each feature or channel, as ``Samples.std``.
    """
    parameter = next(network.parameters())
    x = normalize(inputs.to(parameter.device, non_blocking=True), mean, std)
    return channels_last(x.to(parameter.dtype))
