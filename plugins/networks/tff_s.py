"""The Trifecta's shallow network: six convolutions."""

from __future__ import annotations

from pydantic import Field

import ffprobe


class TFFShallow(ffprobe.Network):
    """3x3 convolutions of 128p, 128, 256p, 256, 256 and 512p channels (p: followed by 2x2 max pooling); 2.81 M weights.

    Fit for any image from 8x8 up, since it halves the side three times.
    """

    name = "tff-s"
    source = "Trifecta, arXiv:2311.18130, Fig. 12; widths and pools as in the authors' code"
    learning_rate_steps = ((0.75, 0.1),)  # 1e-3 for 150 epochs, 1e-4 for 50 (App. B)

    class Params(ffprobe.Params):
        """How wide."""

        width: float = Field(1.0, gt=0, le=16, description="factor on the channels of every layer")

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """Six layers."""
        plan = [(128, 2), (128, 1), (256, 2), (256, 1), (256, 1), (512, 2)]
        return ffprobe.convolutions(self.name, plan, self.params.width, shape)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [TFFShallow]
