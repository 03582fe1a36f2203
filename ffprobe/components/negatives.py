"""Which wrong example a positive one is compared with."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from ffprobe.components.base import Component

if TYPE_CHECKING:
    import torch


class Negatives(Component):
    """Which wrong example a positive one is held against: the same image with a wrong label, or a wrong image.

    Attributes:
        gives: ``labels``: a wrong label for each image; ``images``: a wrong image for each, and no label enters the
            network at all (unsupervised learning). With an encoder that shows labels, and the other way round, a run is
            refused.
        needs_goodness: whether ``goodness`` must be given; it costs a forward pass for every label.
    """

    kind = "negatives"
    gives: ClassVar[Literal["labels", "images"]] = "labels"
    needs_goodness: ClassVar[bool] = False

    @abstractmethod
    def __call__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        classes: int,
        generator: torch.Generator,
        goodness: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The negatives of a batch.

        Returns:
            Where ``gives`` says ``labels``, int64 ``[B]``, never the true one; where it says ``images``, images like
            those given ``[B, C, H, W]``, none of them the image in its own place.

        Args:
            images: float ``[B, C, H, W]``, normalized.
            labels: int64 ``[B]``, the true labels; negatives that give images do not look at them.
            classes: the number of classes.
            generator: the run's stream for negatives; the only source of randomness allowed.
            goodness: ``[B, K]`` of the last layer for every label, when ``needs_goodness``.
        """
