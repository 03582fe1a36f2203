"""The Trifecta's fully connected network: six linear layers of 2,048 units."""

from __future__ import annotations

from pydantic import Field

import ffprobe


class FCN(ffprobe.Network):
    """The image flattened, then linear layers of equal width, with bias as torch's layers have it.

    6 x 2048^2 = 25.17 M weights, the paper's 25.1 M, when the input too has about 2,048 features.
    """

    name = "fcn"
    source = "Trifecta, arXiv:2311.18130, Sec. 5 and App. E"

    class Params(ffprobe.Params):
        """How wide and how deep, with dropout or without."""

        width: float = Field(1.0, gt=0, le=16, description="factor on the 2,048 units of every layer")
        depth: int = Field(6, ge=1, le=1000, description="layers")
        dropout: float = Field(0.0, ge=0, lt=1, description="share of each activation set to zero in training")

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """``depth`` layers."""
        units = max(8, round(2048 * self.params.width))
        return [
            ffprobe.LayerSpec("linear", units, bias=True, dropout=self.params.dropout) for _ in range(self.params.depth)
        ]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [FCN]
