"""Negatives that are images: an image with another image of the batch."""

from __future__ import annotations

import torch

import ffprobe


def others(count: int, generator: torch.Generator) -> torch.Tensor:
    """For each of ``count`` images another one, int64 ``[count]`` on the CPU; each is used once.

    Raises:
        UsageError: there is but one image.
    """
    if count < 2:
        raise ffprobe.UsageError(
            "A batch of one image holds no other image to make a negative of.", hint="Use a larger --batch-size."
        )
    order = torch.randperm(count, generator=generator)
    partner = torch.empty_like(order)
    partner[order] = order.roll(1)
    return partner


class OtherImage(ffprobe.Negatives):
    """(x + x') / 2 with another image x' of the batch; the positive, an image with itself, is then x. No label is used.

    Self-contrastive learning concatenates the two images, (x, x) and (x, x'), and gives both halves the same weights:
    W x + W x' = W (x + x'). The half of the sum stands for the sum here, so that the positive is the image that is
    predicted later; thresholds of goodness are then a quarter of those for sums.
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
