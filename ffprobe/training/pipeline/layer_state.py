"""The weights and statistics of one layer, as they move between processes."""

from __future__ import annotations

import torch

from ffprobe.network.network import LayeredNetwork
from ffprobe.training.pipeline.step_plan import ENCODER


def layer_tensors(network: LayeredNetwork, layer: int) -> list[torch.Tensor]:
    """All parameters and buffers of a layer or of the encoder, wide dtypes first; the network's own tensors."""
    module = network.encoder if layer == ENCODER else network.layer(layer)
    return sorted([*module.parameters(), *module.buffers()], key=lambda tensor: -tensor.dtype.itemsize)


def layer_bytes(network: LayeredNetwork, layer: int) -> int:
    """Number of bytes of ``layer_tensors``."""
    return sum(tensor.numel() * tensor.element_size() for tensor in layer_tensors(network, layer))
