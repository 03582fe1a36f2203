"""Negatives: the wrong examples that positives are compared with."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from ffprobe.components.base import Component

if TYPE_CHECKING:
    import torch


class Negatives(Component):
    """Chooses the negative for each positive: the same image with a wrong label, or a wrong image.

    Attributes:
        gives: ``labels``: a wrong label for each image; ``images``: a wrong image for each image, for unsupervised
            learning without labels in the input. A run is refused if negatives of kind ``images`` meet an encoder that
            shows the label, or negatives of kind ``labels`` an encoder that does not.
        needs_goodness: whether ``__call__`` needs ``goodness``: False; True for that of the last layer; ``"all"`` for
            that of every layer. Computing it costs one forward pass per label.
    """

    kind = "negatives"
    gives: ClassVar[Literal["labels", "images"]] = "labels"
    needs_goodness: ClassVar[bool | Literal["all"]] = False

    @abstractmethod
    def __call__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        classes: int,
        generator: torch.Generator,
        goodness: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The negatives of one batch.

        Returns:
            If ``gives`` is ``labels``: int64 ``[B]``, from 0 to ``classes - 1``, never the true label. If ``gives`` is
            ``images``: ``[B, C, H, W]`` with the dtype of ``images``, where row i is not image i. Both on the device of
            the input, which must not be changed.

        Args:
            images: float ``[B, C, H, W]``, normalized.
            labels: the true labels, int64 ``[B]``; negatives of kind ``images`` must not use them.
            classes: number of classes, K.
            generator: the run's random generator for negatives, on the CPU; the only permitted source of randomness.
            goodness: goodness for every label: of the last layer, float ``[B, K]``, if ``needs_goodness`` is True; of
                every layer, ``[L, B, K]``, NaN in layers whose goodness no loss trains, if it is ``"all"``; else None.
        """
