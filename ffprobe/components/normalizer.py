"""Normalizers: what one layer passes on to the next."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Literal

from ffprobe.components.base import Component, Shape

if TYPE_CHECKING:
    from torch import nn


class Normalizer(Component):
    """Normalizes the values that layers pass on.

    Attributes:
        position: where the module is applied. ``input``: to each layer's input (Hinton, Trifecta). ``preactivation``:
            between the convolution or linear map and the activation, as in networks trained by backpropagation.
            ``activation``: to the activation, before goodness is computed from it (CwComp). ``output``: to the
            activation that a layer passes on, after goodness was computed from it (DeeperForward). A class attribute,
            or set in ``__init__`` from a setting.
        keeps_statistics: whether training updates buffers of the module (batch statistics), or its output in training
            differs from that in evaluation (batch normalization, dropout). If False, the module keeps no running
            statistics and behaves identically in training and evaluation. A class attribute, or set in ``__init__``
            from a setting.
        affine: whether, in evaluation, the module is an affine function: f(u + v) = f(u) + f(v) - f(0). A label scan
            then computes the first layer once for all labels. True for batch normalization, False for modules that
            divide by the length of each input.
    """

    kind = "normalizer"
    position: Literal["input", "preactivation", "activation", "output"] = "input"
    keeps_statistics: bool = False
    affine: bool = False

    def prepare(self, classes: int) -> None:
        """Receive the number of classes; called before ``build``. Most normalizers ignore it."""
        return None

    @abstractmethod
    def build(self, shape: Shape) -> nn.Module:
        """Build a module that maps ``[B, *shape]`` to ``[B, *shape]`` and does not change its input.

        Args:
            shape: the shape of one input, without the batch dimension.

        Raises:
            UsageError: inputs of this shape are not supported.
        """
