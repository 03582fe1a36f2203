"""Negatives with a wrong label, each wrong label as likely as any other."""

from __future__ import annotations

import torch

import ffprobe


class UniformWrong(ffprobe.Negatives):
    """The true label plus 1 to K - 1, modulo K: uniform over the K - 1 wrong labels for every true label.

    The authors' code draws uniformly too, but for the last class only among the first K - 1 labels by another path;
    the distribution is the same.
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
