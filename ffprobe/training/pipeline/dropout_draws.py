"""The dropout masks of layers on other processes: drawn and dropped, so that all generators stay equal."""

from __future__ import annotations

import torch
from torch.nn import functional

from ffprobe.network.network import LayeredNetwork
from ffprobe.training.pipeline.step_plan import Work


def drawing_layers(network: LayeredNetwork, work: Work) -> list[int]:
    """The layers of a work that draw a dropout mask, in the order in which they draw."""
    layers = [index for index in range(work.start, work.stop) if network.layer(index).spec.dropout]
    if work.kind != "normalizer" or not layers:
        return layers
    layer = network.layer(work.start)  # as ``GroupLearner._update_idle_normalizer`` runs it
    runs = layer.position != "input" and any(True for _ in layer.normalizer.buffers())
    return layers if runs else []


def draw_masks(network: LayeredNetwork, work: Work, rows: int, like: torch.Tensor) -> None:
    """Draw from torch's global generator what a work draws.

    Args:
        network: the network.
        work: a work of another process.
        rows: rows of an activation.
        like: a tensor of the dtype and device of activations.
    """
    for index in drawing_layers(network, work):
        layer = network.layer(index)
        functional.dropout(like.new_zeros((rows, *layer.output_shape)), layer.spec.dropout, True)
