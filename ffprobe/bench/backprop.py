"""Backpropagation on the body of a method: plain, checkpointed, or in accumulated small batches."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.checkpoint import checkpoint

from ffprobe.errors import UsageError
from ffprobe.network.network import LayeredNetwork
from ffprobe.training.experiment import Experiment

PARTS = 8
"""Parts of a batch in gradient accumulation."""

Step = Callable[[torch.Tensor, torch.Tensor], None]
"""One training step on inputs ``[B, *shape]`` and labels ``[B]``."""


def backprop_step(experiment: Experiment, *, checkpointed: bool = False, parts: int = 1) -> Step:
    """A step of backpropagation of the last layer's loss, with the experiment's optimizer.

    Args:
        experiment: of form ``class``; its scheduler and rule are not used.
        checkpointed: keep only the borders of about sqrt(L) segments of layers, and compute each segment again in the
            backward pass.
        parts: divide the batch into this many parts and add up their gradients. Batch normalization then sees the
            parts, which changes the numbers, not the cost.

    Raises:
        UsageError: checkpointing a network with shortcuts, which cross the borders of segments.
    """
    network, setup = experiment.network, experiment.setup
    last = network.depth - 1
    if checkpointed and any(network.layer(i).spec.shortcut for i in range(network.depth)):
        raise UsageError("A network with shortcuts between layers is not checkpointed.")
    parameters = [p for i in range(network.depth) for p in network.layer(i).own_parameters(objective=i == last)]
    parameters += [p for p in network.encoder.parameters() if p.requires_grad]
    optimizer = setup.optimizer([p for p in parameters if p.requires_grad])
    borders = _borders(network.depth) if checkpointed else []

    def step(images: torch.Tensor, labels: torch.Tensor) -> None:
        for x, y in zip(images.chunk(parts), labels.chunk(parts), strict=True):
            with setup.autocast():
                activation, layer_input = _last_activation(network, x, borders)
            local = network.local_loss(
                last, activation, y, setup.loss, layer_input=layer_input, images=x, autocast=setup.autocast
            )
            (local.loss * (len(x) / len(images))).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _borders(depth: int) -> list[tuple[int, int]]:
    """The segments of checkpointing, as pairs (first layer, one past the last)."""
    count = max(2, round(depth**0.5))
    ends = sorted({round(depth * (i + 1) / count) for i in range(count)})
    return [(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True) if b > a]


def _last_activation(
    network: LayeredNetwork, images: torch.Tensor, borders: list[tuple[int, int]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """The last layer's activation and its input."""
    if not borders:
        inputs: dict[int, torch.Tensor] = {}
        *_, activation = network.activations(images, None, inputs)
        return activation, inputs[network.depth - 1]
    x = network.encode(images, None)
    layer_input = x
    for first, stop in borders:

        def segment(x: torch.Tensor, first: int = first, stop: int = stop) -> tuple[torch.Tensor, torch.Tensor]:
            passed = x
            for index in range(first, stop):
                x = passed
                activation = network.layer(index)(x)
                is_last = index + 1 == network.depth
                passed = activation if is_last else network.pass_on(index, activation, {})
            return passed, x

        x, layer_input = checkpoint(segment, x, use_reentrant=False)
    return x, layer_input
