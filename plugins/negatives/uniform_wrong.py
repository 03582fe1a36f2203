"""Negatives are wrong labels, drawn uniformly."""

from __future__ import annotations

import torch

import ffprobe


class UniformWrong(ffprobe.Negatives):
    """Draws a wrong label for each image, uniformly from the K - 1 wrong labels: the true label plus 1 to K - 1, modulo
    K.

    The authors' code also draws uniformly; for the last class it draws from the first K - 1 labels directly. The
    distribution is the same.
    """

    name = "uniform-wrong"
    source = "Hinton 2022, arXiv:2212.13345, Sec. 3.3; the authors' code of arXiv:2311.18130"

    def __call__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        classes: int,
        generator: torch.Generator,
        goodness: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Wrong labels, int64 ``[B]``."""
        shift = torch.randint(1, classes, labels.shape, generator=generator)
        return (labels + shift.to(labels.device, non_blocking=True)) % classes


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [UniformWrong]
