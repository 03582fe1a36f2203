"""How a label enters the network."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ffprobe.components.base import Component, Shape

if TYPE_CHECKING:
    from torch import nn


class Encoder(Component):
    """How a label enters the network.

    The module that ``build`` returns has ``forward(images[B, C, H, W], labels[B]) -> [B, *shape]`` and
    ``neutral(images[B, C, H, W]) -> [B, *shape]``, the input that favours no class.

    It may have ``parts(images[B, C, H, W]) -> (common[B, *shape], labels[K, *shape], scale[B] or None)``, where the
    encoding is their sum: ``forward(images, y) = common + scale * labels[y]`` (scale None: 1). Then a sweep over all
    labels computes the first layer's part of each image once. An encoder for which that does not hold has no ``parts``.

    Attributes:
        learned: whether the module's parameters are trained. None leaves it to the run: learned when update groups
            span more than one layer (the Trifecta's rule), fixed at their random start otherwise.
        shows_label: whether the encoding depends on the label; False for methods that need none there (form ``class``).
    """

    kind = "encoder"
    shows_label: ClassVar[bool] = True

    @property
    def learned(self) -> bool | None:
        return None

    @abstractmethod
    def build(self, shape: Shape, classes: int) -> nn.Module:
        """The encoding module for images of ``shape`` (channels, height, width)."""
