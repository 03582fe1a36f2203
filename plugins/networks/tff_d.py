"""The Trifecta's deep network: twelve convolutions."""

from __future__ import annotations

from pydantic import Field

import ffprobe


class TFFDeep(ffprobe.Network):
    """The Trifecta's deep network: twelve 3x3 convolutions of 64, 128p, 3 x 128, 256p, 3 x 256, 512p, 512 and 512
    channels (p: followed by 2x2 max pooling); 8.48 M weights.

    The network fits any image of at least 8x8 pixels, since it halves the side three times.

    The paper reports results with residual connections (App. I) and dropout (footnote 5), but not their form. Here,
    ``residual`` adds the input of each layer that keeps its shape to the output of that layer, without gradient and
    after its goodness is read; ``dropout`` acts on activations before goodness is read.
    """

    name = "tff-d"
    source = "Trifecta, arXiv:2311.18130, Fig. 12; widths and pools as in the authors' code"
    learning_rate_steps = ((0.4, 0.5), (0.8, 0.1))  # 1e-3 x 200 epochs, 5e-4 x 200, 1e-4 x 100 (App. B)

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
        """Twelve layers."""
        widths = [64, 128, 128, 128, 128, 256, 256, 256, 256, 512, 512, 512]
        plan = [(w, 2 if i in (1, 5, 9) else 1) for i, w in enumerate(widths)]
        params = self.params
        return ffprobe.convolutions(
            self.name, plan, params.width, shape, residual=params.residual, dropout=params.dropout
        )


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [TFFDeep]
