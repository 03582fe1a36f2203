"""Encoders: how a label is put into the input of the network."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ffprobe.components.base import Component, Shape

if TYPE_CHECKING:
    from torch import nn


class Encoder(Component):
    """Combines an input (an image, a signal, a table) and a label into the input of the first layer.

    Inputs have channels first: ``(C, H, W)``, ``(C, T)`` or ``(F,)``; the encoding may have another shape.

    The module that ``build`` returns has two methods: ``forward(inputs[B, ...], labels[B]) -> [B, *shape]``, and
    ``neutral(inputs[B, ...]) -> [B, *shape]``, which returns an input that favours no class.

    It may have a third method, ``parts(inputs[B, ...]) -> (common[B, *shape], labels[K, *shape], scale[B] or
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
            shape: the shape of one input, without the batch dimension: (channels, height, width) of an image,
                (channels, time) of a signal, (features,) of a table.
            classes: number of classes, K.

        Raises:
            UsageError: inputs of this shape or this number of classes cannot be encoded.
        """
