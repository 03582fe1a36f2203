"""A multilayer perceptron for inputs of any shape."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

import ffprobe


class MLP(ffprobe.Network):
    """Linear layers of 256 units with biases, on the flattened input: tables ``[F]``, signals ``[C, T]`` or images
    ``[C, H, W]``.

    Three layers of 256 units fit a table of some tens or hundreds of features; ``fcn`` is the Trifecta's network, eight
    times as wide. Positions of a signal or image do not count: any fixed order of its values gives the same network.
    """

    name = "mlp"
    source = "Rumelhart, Hinton & Williams 1986, doi:10.1038/323533a0; the sizes are ours"

    class Params(ffprobe.Params):
        """Width, depth, activation function and dropout."""

        width: float = Field(1.0, gt=0, le=64, description="factor on the 256 units of every layer, in (0, 64]")
        depth: int = Field(3, ge=1, le=1000, description="number of layers, 1 to 1,000")
        activation: Literal["relu", "leaky-relu", "tanh", "none"] = Field(
            "relu", description="activation function of every layer: relu, leaky-relu, tanh or none"
        )
        dropout: float = Field(0.0, ge=0, lt=1, description="dropout probability of activations in training, in [0, 1)")

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """``depth`` layers."""
        params = self.params
        units = max(4, round(256 * params.width))
        spec = ffprobe.LayerSpec("linear", units, bias=True, activation=params.activation, dropout=params.dropout)
        return [spec] * params.depth


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [MLP]
