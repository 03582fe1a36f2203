"""The convolution of a layer: over time for a signal, over rows and columns for a feature map."""

from __future__ import annotations

from torch import nn

from ffprobe.components.base import Shape
from ffprobe.components.network import LayerSpec
from ffprobe.errors import UsageError


def build_convolution(spec: LayerSpec, shape: Shape) -> nn.Conv1d | nn.Conv2d:
    """The convolution of a spec for inputs of this shape, with torch's initial weights.

    Args:
        spec: of kind ``conv``.
        shape: of one input: ``(C, T)`` gives an ``nn.Conv1d``, ``(C, H, W)`` an ``nn.Conv2d``.

    Raises:
        UsageError: the shape has no positions, the kernel is longer than the padded input, or padding that repeats
            the input is longer than the input.
    """
    if len(shape) not in (2, 3):
        raise UsageError(
            f"A convolution needs a signal [C, T] or a feature map [C, H, W], not an input of shape {list(shape)}.",
            hint="Use a network of linear layers: --plugin mlp.",
        )
    padding = spec.kernel // 2 if spec.padding is None else spec.padding
    shortest = min(shape[1:])
    limits = {"zeros": padding, "replicate": padding, "reflect": shortest - 1, "circular": shortest}
    if spec.kernel > shortest + 2 * padding or padding > limits[spec.padding_mode]:
        raise UsageError(
            f"A convolution with a kernel of {spec.kernel} and a padding of {padding} ({spec.padding_mode}) does not "
            f"fit an input of shape {list(shape)}.",
            hint="Use larger inputs, or a smaller kernel.",
        )
    build = nn.Conv1d if len(shape) == 2 else nn.Conv2d
    return build(
        shape[0],
        spec.width,
        spec.kernel,
        spec.stride,
        padding,
        groups=spec.groups,
        bias=spec.bias,
        padding_mode=spec.padding_mode,
    )
