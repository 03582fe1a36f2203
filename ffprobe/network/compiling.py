"""Layers through torch.compile, where that was asked for."""

from __future__ import annotations

import torch

from ffprobe.errors import UsageError
from ffprobe.network.network import LayeredNetwork


def choose_compile(name: str, device: torch.device) -> bool:
    """Whether layers are compiled; ``auto`` is where it was measured to help, which is nowhere so far.

    On a CPU nine tenths of a step are convolutions, which compiling leaves as they are, and the rest becomes slower
    than eager code that reuses its memory (``python -m benchmarks.compile``; docs/performance.md); each shape of a
    layer is compiled anew, which takes a minute. On a GPU it was not measured (``make setup-gpu`` will).

    Raises:
        UsageError: it was asked for on a device for which torch has no compiler.
    """
    if name == "on" and device.type not in ("cpu", "cuda"):
        raise UsageError(f"torch.compile is not offered on {device.type}.", hint="Use --compile off.")
    return name == "on"


def compile_layers(network: LayeredNetwork) -> None:
    """Compile each layer's forward pass by itself, and its goodness; names in the state stay as they are.

    Layers of one network differ in shape, so each is compiled once for training and once for evaluation, and once more
    for a last batch of another size. Compiled numbers differ from eager ones by rounding.
    """
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 8 * network.depth)
    for index in range(network.depth):
        layer = network.layer(index)
        layer.compile()
        layer.goodness.compile()
