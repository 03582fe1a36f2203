"""torch.compile for the layers of a network, if the run requests it."""

from __future__ import annotations

import torch

from ffprobe.errors import UsageError
from ffprobe.network.network import LayeredNetwork


def choose_compile(name: str, device: torch.device) -> bool:
    """Whether layers are compiled; ``auto`` compiles where it was measured to help, which is nowhere so far.

    On a CPU nine tenths of a step are convolutions, which compiling does not change, and the rest becomes slower than
    eager code that reuses its memory (``python -m benchmarks.compile``; docs/performance.md); each shape of a layer is
    compiled separately, which takes a minute. On a GPU it was not measured (``make setup-gpu`` will).

    Raises:
        UsageError: compilation was requested on a device for which torch has no compiler.
    """
    if name == "on" and device.type not in ("cpu", "cuda"):
        raise UsageError(f"torch.compile is not supported on {device.type}.", hint="Use --compile off.")
    return name == "on"


def compile_layers(network: LayeredNetwork) -> None:
    """Compile the forward pass and the goodness of each layer separately; names in the state dict do not change.

    Layers of one network differ in shape, so each is compiled once for training, once for evaluation, and once more for
    a last batch of another size. Compiled results differ from eager results by rounding.
    """
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 8 * network.depth)
    for index in range(network.depth):
        layer = network.layer(index)
        layer.compile()
        layer.goodness.compile()
