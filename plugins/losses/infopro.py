"""InfoPro: the cross entropy of a local classifier plus the reconstruction of the image."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

import ffprobe

Weight = Annotated[float, Field(ge=0)]


class InfoPro(ffprobe.Loss):
    """Keeps information about the image in the early layers: a * BCE(decoder(up(h)), image) + b * CE(goodness, y).

    up enlarges the activation to the size of the image (bilinear, corners aligned); the decoder is a 3x3 convolution,
    batch normalization, ReLU, a 3x3 convolution and a sigmoid, learned with the layer. The weights a and b change
    linearly with depth, from the first to the second value, over all layers but the last, which has CE alone.

    The target is the image with values in [0, 1]: the image that the network receives, times ``std`` plus ``mean``,
    limited to [0, 1]. Empty values stand for 0.25 and 0.5 in every channel.

    Deviations: InfoPro's first variant (its contrastive one is not here). The published weights are for 16 modules;
    with modules of several layers, depth counts layers.
    """

    name = "infopro"
    form = "class"
    averages = False  # batch normalization of the decoder compares the images of the batch
    source = "InfoPro, Wang et al. 2021, arXiv:2101.10832; weights for K = 16 and decoder of ChenxiangMA/AugLocal"

    class Params(ffprobe.Params):
        """The weights of the terms and the decoder."""

        reconstruction: tuple[Weight, Weight] = Field(
            (5.0, 0.2), description="weight of the reconstruction at the first and at the last layer that has one"
        )
        classification: tuple[Weight, Weight] = Field(
            (0.05, 0.5), description="weight of the cross entropy at the first layer and at the last but one"
        )
        width: int = Field(12, ge=1, description="channels between the two convolutions of the decoder, at least 1")
        mean: tuple[float, ...] = Field((), description="mean of each channel of the images; empty: 0.5")
        std: tuple[float, ...] = Field((), description="standard deviation of each channel of the images; empty: 0.25")

    channels = 3  # of the images; ``prepare`` sets it

    def prepare(self, image: ffprobe.Shape) -> None:
        """Remember the number of channels, for the decoder's output."""
        self.channels = image[0]

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module | None:
        """Build the decoder.

        Raises:
            UsageError: the activation is not a feature map.
        """
        if len(shape) != 3:
            raise ffprobe.UsageError(
                f"The loss {self.name!r} reconstructs images from feature maps, not from {list(shape)} values.",
                hint="Use --plugin tff-s, or --plugin cross-entropy.",
            )
        width = self.params.width
        return nn.Sequential(
            nn.Conv2d(shape[0], width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, self.channels, 3, padding=1),
            nn.Sigmoid(),
        )

    def __call__(self, goodness: torch.Tensor, labels: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """Return the scalar loss of goodness ``[B, K]``, labels ``[B]``, and activation and images in ``context``."""
        loss = functional.cross_entropy(goodness, labels)
        if context.layer == context.depth - 1 and context.depth > 1:
            return loss
        share = context.layer / (context.depth - 2) if context.depth > 2 else 0.0
        extra, local = (
            (1 - share) * a + share * b for a, b in (self.params.reconstruction, self.params.classification)
        )
        return extra * self.reconstruction(context) + local * loss if extra else local * loss

    def reconstruction(self, context: ffprobe.LossContext) -> torch.Tensor:
        """The mean binary cross entropy of the decoded activation and the image.

        Raises:
            UsageError: the learning rule passes no images.
        """
        decoder, images = context.module, context.images
        if images is None or decoder is None:
            raise ffprobe.UsageError(
                f"The loss {self.name!r} needs the images, which this learning rule does not pass to losses.",
                hint="Use --plugin forward-forward.",
            )
        dtype = next(decoder.parameters()).dtype
        enlarged = functional.interpolate(
            context.activation.to(dtype), images.shape[2:], mode="bilinear", align_corners=True
        )
        return functional.binary_cross_entropy(decoder(enlarged), self.target(images.to(dtype)))

    def target(self, images: torch.Tensor) -> torch.Tensor:
        """The images with values in [0, 1]."""
        mean, std = (
            images.new_tensor(given or (default,) * images.shape[1])[:, None, None]
            for given, default in ((self.params.mean, 0.5), (self.params.std, 0.25))
        )
        return (images * std + mean).clamp(0, 1)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [InfoPro]
