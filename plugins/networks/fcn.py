"""The Trifecta's fully connected network: six linear layers of 2,048 units."""

from __future__ import annotations

from pydantic import Field

import ffprobe


class FCN(ffprobe.Network):
    """The Trifecta's fully connected network: the flattened image, then linear layers of equal width, with bias as in
    torch's layers.

    The network has 6 x 2048^2 = 25.17 M weights, the paper's 25.1 M, if the input too has about 2,048 features.
    """

    name = "fcn"
    source = "Trifecta, arXiv:2311.18130, Sec. 5 and App. E"

    class Params(ffprobe.Params):
        """Width, depth and dropout."""

        width: float = Field(1.0, gt=0, le=16, description="factor on the 2,048 units of every layer, in (0, 16]")
        depth: int = Field(6, ge=1, le=1000, description="number of layers, 1 to 1,000")
        dropout: float = Field(0.0, ge=0, lt=1, description="dropout probability of activations in training, in [0, 1)")

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """``depth`` layers."""
        units = max(8, round(2048 * self.params.width))
        return [
            ffprobe.LayerSpec("linear", units, bias=True, dropout=self.params.dropout) for _ in range(self.params.depth)
        ]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [FCN]
