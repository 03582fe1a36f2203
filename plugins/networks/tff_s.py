"""The Trifecta's shallow network: six convolutions."""

from __future__ import annotations

from pydantic import Field

import ffprobe


class TFFShallow(ffprobe.Network):
    """3x3 convolutions of 128p, 128, 256p, 256, 256 and 512p channels (p: followed by 2x2 max pooling); 2.81 M weights.

    Fit for any image from 8x8 up, since it halves the side three times.

    ``residual`` (App. I) and ``dropout`` (footnote 5) are trials of which the paper tells the outcome and not the form.
    Ours: around each single layer that keeps the shape of its input, that input is added to what the layer passes on,
    without gradient and unseen by the layer's own goodness; dropout acts on activations before goodness is read.
    """

    name = "tff-s"
    source = "Trifecta, arXiv:2311.18130, Fig. 12; widths and pools as in the authors' code"
    learning_rate_steps = ((0.75, 0.1),)  # 1e-3 for 150 epochs, 1e-4 for 50 (App. B)

    class Params(ffprobe.Params):
        """How wide, with shortcuts or without, with dropout or without."""

        width: float = Field(1.0, gt=0, le=16, description="factor on the channels of every layer")
        residual: bool = Field(False, description="whether layers that keep their input's shape add it to their output")
        dropout: float = Field(0.0, ge=0, lt=1, description="share of each activation set to zero in training")

    def layers(self, shape: ffprobe.Shape, classes: int) -> list[ffprobe.LayerSpec]:
        """Six layers."""
        plan = [(128, 2), (128, 1), (256, 2), (256, 1), (256, 1), (512, 2)]
        params = self.params
        return ffprobe.convolutions(
            self.name, plan, params.width, shape, residual=params.residual, dropout=params.dropout
        )


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [TFFShallow]
