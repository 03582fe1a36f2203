"""A threshold for positives and another for negatives, and a price on the goodness of positives."""

from __future__ import annotations

import torch
from pydantic import Field
from torch.nn import functional

import ffprobe


class TwoThresholds(ffprobe.Loss):
    """mean softplus(t - positive) + mean softplus(negative - u) + price * mean |positive|, with t, u, price of a layer.

    Each setting holds a number for each layer, of which the last serves all layers behind. The defaults are those of
    the authors' convolutional network on CIFAR-10; their thresholds are of the goodness of W (x + x'), four times that
    of the mean of two images (``other-image``), and are divided by four here.

    Deviation: in their convolutional layers the softplus is taken at every position of the map and then averaged (and
    the price is on the norm over positions); here goodness is the mean over the map, as everywhere in ffprobe, so that
    each image has one. In fully connected layers that is the same.
    """

    name = "two-thresholds"
    source = "SCFF (Chen et al. 2025, arXiv:2409.11593); constants as in its code"

    class Params(ffprobe.Params):
        """Where positives and negatives part, layer by layer."""

        positive: tuple[float, ...] = Field(
            (0.0, 1.25, 1.5), min_length=1, description="of each layer: positives should be above it, in goodness"
        )
        negative: tuple[float, ...] = Field(
            (0.25, 2.25, 2.5), min_length=1, description="of each layer: negatives should be below it, in goodness"
        )
        price: tuple[float, ...] = Field(
            (0.0012, 0.0007, 0.0005), min_length=1, description="of each layer: on the mean goodness of positives"
        )

    def __call__(self, positive: torch.Tensor, negative: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """A scalar from the goodness of positives ``[B]`` and of negatives ``[B]``."""
        said = self.params
        above, below, price = (
            values[min(context.layer, len(values) - 1)] for values in (said.positive, said.negative, said.price)
        )
        parted = functional.softplus(above - positive).mean() + functional.softplus(negative - below).mean()
        return parted + price * positive.abs().mean()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [TwoThresholds]
