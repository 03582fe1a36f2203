"""Goodness: a measure of how well an activation matches its input and label."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ffprobe.components.base import Component, Form, Shape

if TYPE_CHECKING:
    from torch import nn


class Goodness(Component):
    """Computes the goodness of a layer from its activation.

    Attributes:
        form: ``pair`` maps ``[B, *shape]`` to ``[B]``; ``class`` maps ``[B, *shape]`` to ``[B, K]``, one number per
            class.
    """

    kind = "goodness"
    form: ClassVar[Form] = "pair"

    @abstractmethod
    def build(self, shape: Shape, classes: int) -> nn.Module:
        """Build the module that maps an activation to its goodness; it may have parameters (a local head).

        The activation ``[B, *shape]`` is float32, bfloat16 with ``--precision bf16``, or float64 with ``--precision
        fp64``. The goodness must be float32, or float64 if the activation is.

        Args:
            shape: the shape of one activation of the layer, without the batch dimension.
            classes: number of classes, K.

        Raises:
            UsageError: activations of this shape are not supported.
        """
