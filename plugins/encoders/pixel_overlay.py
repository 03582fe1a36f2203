"""Writes the label over the first values of the input, one for each class."""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import nn

import ffprobe


class PixelOverlay(ffprobe.Encoder):
    """Writes the label into the image: the first K pixels (row by row, in every channel) become 0, and pixel ``y`` gets
    the largest value of the image.

    The neutral label writes 1/K of that value into each of the K pixels. Hinton overlays MNIST's black border;
    normalized images have no natural black, so 0 is the mean grey here. By default, the largest value is that of each
    image; mohammadpz's code takes the largest value of the whole batch, which makes an image depend on the others.

    Of a signal ``[C, T]``, the first K time steps of every channel are overwritten; of a table ``[F]``, its first K
    features, whatever they hold: ``label-token`` and ``label-features`` overwrite nothing.
    """

    name = "pixel-overlay"
    aliases = ("overlay",)
    source = "Hinton 2022, arXiv:2212.13345, Sec. 3.3; neutral as in loeweX/Forward-Forward"

    class Params(ffprobe.Params):
        """The brightness of the label pixel."""

        value: float | None = Field(
            None,
            description="value of the label pixel, in standard deviations of the images (after "
            "normalization); empty: the maximum of the image",
        )

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, *shape]`` and labels ``[B]`` to the same shape.

        Raises:
            UsageError: there are more classes than positions.
        """
        channels, positions = (shape[0], math.prod(shape[1:])) if len(shape) > 1 else (1, shape[0])
        value = self.params.value
        if classes > positions:
            kinds = {1: ("features", "a row"), 2: ("time steps", "a signal")}
            values, owner = kinds.get(len(shape), ("pixels", "an image"))
            raise ffprobe.UsageError(
                f"The encoder 'pixel-overlay' needs {classes} {values} for {classes} classes; {owner} has {positions}.",
                hint="Use --plugin label-channel.",
            )

        class Module(nn.Module):
            def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
                share = nn.functional.one_hot(labels, classes).to(images.dtype)  # [B, K]
                return self._overlay(images, share)

            def neutral(self, images: torch.Tensor) -> torch.Tensor:
                return self._overlay(images, images.new_full((len(images), classes), 1 / classes))

            def parts(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
                bare = self._overlay(images, images.new_zeros(len(images), classes))
                ones = nn.functional.one_hot(torch.arange(classes, device=images.device), positions)
                pixels = ones.to(images.dtype)
                if len(shape) > 1:
                    pixels = pixels.view(classes, 1, *shape[1:]).expand(-1, *shape)
                return bare, pixels, self._top(images)

            def _top(self, images: torch.Tensor) -> torch.Tensor:
                return images.flatten(1).amax(dim=1) if value is None else images.new_full((len(images),), value)

            def _overlay(self, images: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
                flat = images.reshape(len(images), channels, -1)  # [B, C, positions]
                pixels = (share * self._top(images)[:, None])[:, None].expand(-1, channels, -1)  # [B, C, K]
                return torch.cat([pixels, flat[:, :, classes:]], dim=2).view_as(images)

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [PixelOverlay]
