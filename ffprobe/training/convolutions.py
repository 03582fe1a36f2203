"""A stack of 3x3 convolutions from a plan of channels and pools."""

from __future__ import annotations

from collections.abc import Sequence

from ffprobe.components import LayerSpec, Shape
from ffprobe.errors import UsageError


def convolutions(name: str, plan: Sequence[tuple[int, int]], factor: float, shape: Shape) -> list[LayerSpec]:
    """Layers for (channels, pool) pairs, each width times ``factor`` but at least 4 channels.

    Args:
        name: of the network, for the message.
        plan: channels and side of the pooling window of each layer.
        factor: on the channels.
        shape: of the input (channels, height, width).

    Raises:
        UsageError: the pools would shrink the image to nothing.
    """
    side = 1
    for _, pool in plan:
        side *= pool
    if len(shape) != 3 or min(shape[1:]) < side:
        raise UsageError(
            f"The network {name!r} needs images of {side}x{side} or more, not {'x'.join(map(str, shape[1:]))}.",
            do="Use --plugin fcn, or larger images.",
        )
    return [LayerSpec("conv", max(4, round(channels * factor)), pool) for channels, pool in plan]
