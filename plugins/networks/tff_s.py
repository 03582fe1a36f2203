"""The Trifecta's shallow network: six convolutions."""

from __future__ import annotations

from pydantic import Field

import ffprobe


class TFFShallow(ffprobe.Network):
    """The Trifecta's shallow network: six 3x3 convolutions of 128p, 128, 256p, 256, 256 and 512p channels (p: followed
    by 2x2 max pooling); 2.81 M weights.

    The network fits any image of at least 8x8 pixels, since it halves the side three times.

    The paper reports results with residual connections (App. I) and dropout (footnote 5), but not their form. Here,
    ``residual`` adds the input of each layer that keeps its shape to the output of that layer, without gradient and
    after its goodness is read; ``dropout`` acts on activations before goodness is read.
    """

    name = "tff-s"
    source = "Trifecta, arXiv:2311.18130, Fig. 12; widths and pools as in the authors' code"
    learning_rate_steps = ((0.75, 0.1),)  # 1e-3 for 150 epochs, 1e-4 for 50 (App. B)

    class Params(ffprobe.Params):
        """Width, shortcuts and dropout."""

        width: float = Field(
            1.0, gt=0, le=16, description="factor on the number of channels of every layer, in (0, 16]"
        )
        residual: bool = Field(
            False, description="add the input of each layer that keeps its shape to the output of that layer"
        )
        dropout: float = Field(0.0, ge=0, lt=1, description="dropout probability of activations in training, in [0, 1)")

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
