"""One threshold for positives, another for negatives, and a penalty on the goodness of positives."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch.nn import functional

import ffprobe


class TwoThresholds(ffprobe.Loss):
    """Pushes positives above one threshold and negatives below another, and penalizes the goodness of positives: mean
    softplus(t - y) over positives + mean softplus(y' - u) over negatives + price * mean ||y|| over positives.

    y is ``factor`` times the goodness of a position of the feature map, the mean of squares over its channels. Means
    are over images and positions; the norm is over the positions of an image. With ``per = "image"``, an image counts
    as one position, as in a fully connected layer.

    Each of t, u and price has one value per layer; the last value serves all further layers. The defaults are those of
    the authors' convolutional network on CIFAR-10. Their goodness is that of W (x + x'), four times that of the mean of
    the two images, which ``other-image`` gives: hence ``factor``.

    Positions and factor both matter: with one value per image and no factor, a readout on Fashion-MNIST was two points
    below that of the untrained network (docs/methods-that-did-not-learn.md).
    """

    name = "two-thresholds"
    source = "SCFF (Chen et al. 2025, arXiv:2409.11593); constants as in its code"

    class Params(ffprobe.Params):
        """The thresholds and the penalty of each layer."""

        positive: tuple[float, ...] = Field(
            (0.0, 5.0, 6.0),
            min_length=1,
            description="threshold t of each layer, in units of factor * goodness; positives should be above "
            "it; the last value serves further layers",
        )
        negative: tuple[float, ...] = Field(
            (1.0, 9.0, 10.0),
            min_length=1,
            description="threshold u of each layer, in units of factor * goodness; negatives should be below "
            "it; the last value serves further layers",
        )
        price: tuple[float, ...] = Field(
            (0.0012, 0.0007, 0.0005),
            min_length=1,
            description="weight of the penalty on the goodness of positives, for each layer; the last value "
            "serves further layers",
        )
        factor: float = Field(
            4.0,
            gt=0,
            description="factor on goodness before it is compared with a threshold, above 0; 4 converts the "
            "mean of two images to their sum",
        )
        per: Literal["position", "image"] = Field(
            "position",
            description="unit that is compared with a threshold: each position of the feature map, or the whole image",
        )

    def __call__(self, positive: torch.Tensor, negative: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """Return the scalar loss of the goodness of positives ``[B]`` and negatives ``[B]``, and their activations in
        ``context``.
        """
        params = self.params
        above, below, price = (
            values[min(context.layer, len(values) - 1)] for values in (params.positive, params.negative, params.price)
        )
        y, other = (params.factor * part for part in self._positions(positive, negative, context.activation))
        thresholds = functional.softplus(above - y).mean() + functional.softplus(other - below).mean()
        return thresholds + price * y.norm(dim=1).mean()

    def _positions(
        self, positive: torch.Tensor, negative: torch.Tensor, activation: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Goodness of every position: two tensors ``[B, positions]``, for positives and negatives."""
        if self.params.per == "image" or activation.dim() < 3:
            return positive[:, None], negative[:, None]
        squares = activation.to(positive.dtype).square().mean(dim=1).flatten(1)  # [2B, positions]
        # keep the image's goodness as the mean, and add the deviation of each position of the map
        spread = squares - squares.mean(dim=1, keepdim=True)
        first, second = spread.chunk(2)
        return positive[:, None] + first, negative[:, None] + second


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [TwoThresholds]
