"""Negatives are images: hybrids of two images of the batch, combined along a random mask."""

from __future__ import annotations

import torch
from ffprobe_plugins.negatives.other_image import others
from pydantic import Field
from torch.nn import functional

import ffprobe


class MaskedHybrid(ffprobe.Negatives):
    """Combines each image with another image of the batch along a random mask: mask * image + (1 - mask) * other image.

    It uses no labels. The mask has large connected regions of ones and zeros: random bits, blurred repeatedly with
    [1/4, 1/2, 1/4] in both directions (edges repeated) and thresholded at 1/2. The hybrid keeps the image's short-range
    correlations and loses its long-range ones. Masks of signals ``[B, C, T]`` are blurred along time; the features of
    a table ``[B, F]`` have no neighbours, so its masks are random bits.

    Deviations: the paper says that the blur is repeated, but not how often. Here it is repeated until its standard
    deviation is a given fraction of the image's side. A mask that would be all ones or all zeros, and would leave the
    image unchanged, is thresholded at its own mean.
    """

    name = "masked-hybrid"
    gives = "images"
    source = "Hinton 2022, arXiv:2212.13345, Sec. 3.2"

    class Params(ffprobe.Params):
        """The size of the regions."""

        blur: float = Field(
            0.1,
            gt=0,
            le=1,
            description="standard deviation of the whole blur, as a fraction of the image's shorter side or of "
            "the signal's length, in (0, 1]; larger values give larger regions",
        )

    def __call__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        classes: int,
        generator: torch.Generator,
        goodness: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Hybrid images ``[B, C, H, W]``, signals ``[B, C, T]`` or rows ``[B, F]``."""
        sides = tuple(images.shape[2:])
        mask = self.mask(len(images), sides, generator) if sides else _bits(len(images), images.shape[1], generator)
        mask = mask.to(images)  # [B, 1, H, W], [B, 1, T] or [B, F]
        other = images[others(len(images), generator).to(images.device)]
        return mask * images + (1 - mask) * other

    def mask(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
        """Masks of 0 and 1, float32 ``[count, 1, *shape]`` on the CPU; each mask contains both values.

        Args:
            count: number of masks.
            shape: ``(H, W)`` or ``(T,)``.
            generator: the source of the bits.
        """
        bits = torch.randint(2, (count, 1, *shape), generator=generator).float()
        times = max(1, round(2 * (self.params.blur * min(shape)) ** 2))  # one blur has a variance of 1/2
        kernel = torch.tensor([0.25, 0.5, 0.25])
        kernel = ((kernel[:, None] * kernel) if len(shape) == 2 else kernel)[None, None]
        blur = functional.conv2d if len(shape) == 2 else functional.conv1d
        for _ in range(times):
            bits = blur(functional.pad(bits, (1, 1) * len(shape), mode="replicate"), kernel)
        mask = bits > 0.5
        alike = mask.flatten(1).all(1) | ~mask.flatten(1).any(1)
        level = bits.mean(dim=tuple(range(1, bits.dim())), keepdim=True)
        return torch.where(alike.view_as(level), bits > level, mask).float()


def _bits(count: int, features: int, generator: torch.Generator) -> torch.Tensor:
    """Random bits ``[count, features]``; each row contains both values if it has two or more."""
    bits = torch.randint(2, (count, features), generator=generator).float()
    alike = (bits == bits[:, :1]).all(dim=1)
    bits[alike, 0] = 1 - bits[alike, 0]
    return bits


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [MaskedHybrid]
