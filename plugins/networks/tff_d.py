"""The Trifecta's deep network: twelve convolutions."""

from __future__ import annotations

from pydantic import Field

import ffprobe


class TFFDeep(ffprobe.Network):
    """3x3 convolutions of 64, 128p, 3 x 128, 256p, 3 x 256, 512p, 512 and 512 channels; 8.48 M weights.

    Fit for any image from 8x8 up, since it halves the side three times.
    """

    name = "tff-d"
    source = "Trifecta, arXiv:2311.18130, Fig. 12; widths and pools as in the authors' code"
    learning_rate_steps = ((0.4, 0.5), (0.8, 0.1))  # 1e-3 x 200 epochs, 5e-4 x 200, 1e-4 x 100 (App. B)

    class Params(ffprobe.Params):
        """How wide."""

        width: float = Field(1.0, gt=0, le=16, description="factor on the channels of every layer")

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """Twelve layers."""
        widths = [64, 128, 128, 128, 128, 256, 256, 256, 256, 512, 512, 512]
        plan = [(w, 2 if i in (1, 5, 9) else 1) for i, w in enumerate(widths)]
        return ffprobe.convolutions(self.name, plan, self.params.width, shape)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [TFFDeep]
