"""Layer specs for a sequence of convolutions of side 3, from a list of channels and pooling windows."""

from __future__ import annotations

from collections.abc import Sequence

from ffprobe.components.base import Shape
from ffprobe.components.network import LayerSpec, Shortcut
from ffprobe.errors import UsageError


def convolutions(
    name: str,
    plan: Sequence[tuple[int, int]],
    factor: float,
    shape: Shape,
    *,
    residual: bool = False,
    dropout: float = 0.0,
) -> list[LayerSpec]:
    """Layers for (channels, pool) pairs; each has ``factor`` times its channels, and at least 4.

    Args:
        name: name of the network, for the error message.
        plan: number of channels and side of the pooling window of each layer.
        factor: width multiplier for the channels.
        shape: shape of the input: (channels, height, width), or (channels, time) for convolutions over time.
        residual: whether every layer that keeps the shape of its input adds that input, detached, to its output (not
            the last layer, which has no next layer, and not the first, whose input is the image).
        dropout: dropout probability of every layer's activation, in [0, 1).

    Raises:
        UsageError: the input is a table, or too small for the pooling windows.
    """
    side = 1
    for _, pool in plan:
        side *= pool
    if len(shape) not in (2, 3):
        raise UsageError(
            f"The network {name!r} needs images or signals, not an input of shape {list(shape)}.",
            hint="Use --plugin mlp, which takes any input; with a label in the input also --plugin label-features.",
        )
    if min(shape[1:]) < side:
        needed = f"images of at least {side}x{side}" if len(shape) == 3 else f"signals of at least {side} steps"
        raise UsageError(
            f"The network {name!r} needs {needed}, not {'x'.join(map(str, shape[1:]))}.",
            hint="Use --plugin fcn, or larger inputs.",
        )
    widths = [max(4, round(channels * factor)) for channels, _ in plan]
    return [
        LayerSpec(
            "conv",
            width,
            pool,
            shortcut=Shortcut(index - 1) if residual and _keeps_shape(index, widths, pool) else None,
            dropout=dropout,
        )
        for index, (width, (_, pool)) in enumerate(zip(widths, plan, strict=True))
    ]


def _keeps_shape(index: int, widths: Sequence[int], pool: int) -> bool:
    return 0 < index < len(widths) - 1 and pool == 1 and widths[index - 1] == widths[index]
