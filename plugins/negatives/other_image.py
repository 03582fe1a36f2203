"""Negatives are images: the mean of an image and another image of the batch."""

from __future__ import annotations

import torch

import ffprobe


def others(count: int, generator: torch.Generator) -> torch.Tensor:
    """For each of ``count`` images the index of another image, int64 ``[count]`` on the CPU; each index occurs once.

    Raises:
        UsageError: the batch has only one image.
    """
    if count < 2:
        raise ffprobe.UsageError(
            "These negatives combine two images, but the batch has only one.", hint="Use a larger --batch-size."
        )
    order = torch.randperm(count, generator=generator)
    partner = torch.empty_like(order)
    partner[order] = order.roll(1)
    return partner


class OtherImage(ffprobe.Negatives):
    """Averages each image with another image of the batch, (x + x') / 2; the positive, an image with itself, is then x.

    It uses no labels. Self-contrastive learning concatenates the two images, (x, x) and (x, x'), and gives both halves
    the same weights: W x + W x' = W (x + x'). Half of that sum replaces the sum here, so that the positive is the image
    that is predicted later; thresholds on goodness are then a quarter of those for sums.
    """

    name = "other-image"
    gives = "images"
    source = "SCFF (Chen et al. 2025, arXiv:2409.11593)"

    def __call__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        classes: int,
        generator: torch.Generator,
        goodness: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Mixed images ``[B, C, H, W]``."""
        return (images + images[others(len(images), generator).to(images.device)]) / 2


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [OtherImage]
