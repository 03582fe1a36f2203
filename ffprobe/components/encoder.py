"""Encoders: how a label is put into the input of the network."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ffprobe.components.base import Component, Shape

if TYPE_CHECKING:
    from torch import nn


class Encoder(Component):
    """Combines an image and a label into the input of the first layer.

    The module that ``build`` returns has two methods: ``forward(images[B, C, H, W], labels[B]) -> [B, *shape]``, and
    ``neutral(images[B, C, H, W]) -> [B, *shape]``, which returns an input that favours no class.

    It may have a third method, ``parts(images[B, C, H, W]) -> (common[B, *shape], labels[K, *shape], scale[B] or
    None)``, if the encoding is a sum: ``forward(images, y) = common + scale * labels[y]`` (None means a scale of 1). A
    label scan then computes the first layer's share of each image once for all labels. An encoding that is not such a
    sum must not define ``parts``.

    Attributes:
        learned: whether the parameters of the module are trained. None lets the run decide: they are trained if an
            update group spans more than one layer (the Trifecta's rule), and otherwise stay at their random initial
            values.
        shows_label: whether the encoding depends on the label; False for methods that need no label in the input (form
            ``class``, unsupervised learning).
    """

    kind = "encoder"
    shows_label: ClassVar[bool] = True

    @property
    def learned(self) -> bool | None:
        return None

    @abstractmethod
    def build(self, shape: Shape, classes: int) -> nn.Module:
        """Build the encoding module.

        Args:
            shape: the shape of an image, (channels, height, width).
            classes: number of classes, K.

        Raises:
            UsageError: images of this shape or this number of classes cannot be encoded.
        """
