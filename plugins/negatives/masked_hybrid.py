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
    correlations and loses its long-range ones.

    The mask of a signal ``[C, T]`` is blurred over time. Features of a table ``[F]`` have no neighbours: a random half
    of them comes from the image, without a blur.

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
            description="standard deviation of the whole blur, as a fraction of the image's shorter side, in "
            "(0, 1]; larger values give larger regions",
        )

    def __call__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        classes: int,
        generator: torch.Generator,
        goodness: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Hybrid images ``[B, *shape]``."""
        positions = tuple(images.shape[2:])
        if positions:
            mask = self.mask(len(images), positions, generator).to(images)  # [B, 1, H, W]
        else:
            order = torch.rand(images.shape, generator=generator).argsort(dim=1)
            mask = (order < images.shape[1] / 2).to(images)  # [B, F]
        other = images[others(len(images), generator).to(images.device)]
        return mask * images + (1 - mask) * other

    def mask(self, count: int, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
        """Masks of 0 and 1, float32 ``[count, 1, *shape]`` on the CPU; each mask contains both values.

        Args:
            count: number of masks.
            shape: of the positions: ``(H, W)`` of images, ``(T,)`` of signals.
            generator: on the CPU.
        """
        bits = torch.randint(2, (count, 1, *shape), generator=generator).float()
        times = max(1, round(2 * (self.params.blur * min(shape)) ** 2))  # one blur has a variance of 1/2
        kernel = torch.tensor([0.25, 0.5, 0.25])
        flat = len(shape) == 1
        kernel = kernel[None, None] if flat else (kernel[:, None] * kernel)[None, None]
        convolve, edges = (functional.conv1d, (1, 1)) if flat else (functional.conv2d, (1, 1, 1, 1))
        for _ in range(times):
            bits = convolve(functional.pad(bits, edges, mode="replicate"), kernel)
        mask = bits > 0.5
        alike = mask.flatten(1).all(1) | ~mask.flatten(1).any(1)
        axes = tuple(range(1, bits.dim()))
        level = bits.mean(dim=axes, keepdim=True)
        return torch.where(alike.view(-1, *(1 for _ in axes)), bits > level, mask).float()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [MaskedHybrid]
