"""A threshold for positives and another for negatives, and a price on the goodness of positives."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch.nn import functional

import ffprobe


class TwoThresholds(ffprobe.Loss):
    """mean softplus(t - y) over positives + mean softplus(y' - u) over negatives + price * mean ||y|| over positives.

    y is ``factor`` times the goodness of a position of the map, the mean of squares over its channels; means are over
    images and positions, the norm is over the positions of an image. With ``per = "image"`` an image counts as one
    position, as every image of a fully connected layer does.

    Each of t, u and price holds a number for each layer, of which the last serves all layers behind. The defaults are
    those of the authors' convolutional network on CIFAR-10. Their goodness is that of W (x + x'), four times that of
    the mean of the two images, which ``other-image`` gives: hence ``factor``.

    Both matter. With one number an image and no factor, a readout on Fashion-MNIST fell two points below that of the
    untrained network (docs/methods-that-did-not-learn.md).
    """

    name = "two-thresholds"
    source = "SCFF (Chen et al. 2025, arXiv:2409.11593); constants as in its code"

    class Params(ffprobe.Params):
        """Where positives and negatives part, layer by layer."""

        positive: tuple[float, ...] = Field(
            (0.0, 5.0, 6.0), min_length=1, description="of each layer: positives should be above it"
        )
        negative: tuple[float, ...] = Field(
            (1.0, 9.0, 10.0), min_length=1, description="of each layer: negatives should be below it"
        )
        price: tuple[float, ...] = Field(
            (0.0012, 0.0007, 0.0005), min_length=1, description="of each layer: on the norm of positives' goodness"
        )
        factor: float = Field(4.0, gt=0, description="on goodness, before it is held against a threshold")
        per: Literal["position", "image"] = Field("position", description="what is held against it, one by one")

    def __call__(self, positive: torch.Tensor, negative: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """A scalar from the goodness of positives ``[B]`` and of negatives ``[B]``, and their maps in ``context``."""
        said = self.params
        above, below, price = (
            values[min(context.layer, len(values) - 1)] for values in (said.positive, said.negative, said.price)
        )
        y, other = (said.factor * part for part in self._positions(positive, negative, context.activation))
        parted = functional.softplus(above - y).mean() + functional.softplus(other - below).mean()
        return parted + price * y.norm(dim=1).mean()

    def _positions(
        self, positive: torch.Tensor, negative: torch.Tensor, activation: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Goodness of every position, ``[B, positions]`` each."""
        if self.params.per == "image" or activation.dim() < 3:
            return positive[:, None], negative[:, None]
        squares = activation.to(positive.dtype).square().mean(dim=1).flatten(1)  # [2B, positions]
        # what goodness says of an image, spread over positions as the map spreads it
        spread = squares - squares.mean(dim=1, keepdim=True)
        first, second = spread.chunk(2)
        return positive[:, None] + first, negative[:, None] + second


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [TwoThresholds]
