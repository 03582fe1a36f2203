"""What is passed between layers."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Literal

from ffprobe.components.base import Component, Shape

if TYPE_CHECKING:
    from torch import nn


class Normalizer(Component):
    """What is passed between layers.

    Attributes:
        position: ``input``: it stands on each layer's input (Hinton, Trifecta); ``preactivation``: between the
            convolution or linear map and the activation, as backpropagated networks have it; ``activation``: on the
            activation, before goodness is read from it (CwComp); ``output``: on the activation that a layer passes on,
            after goodness was read from it (DeeperForward). A class attribute, or set in ``__init__`` from a setting.
        keeps_statistics: whether training moves buffers of the module (statistics of the batches), or gives other
            values than evaluation (batch normalization, dropout). Where it is False, neither may be. A class attribute,
            or set in ``__init__`` from a setting.
        affine: whether in evaluation the module is an affine function, f(u + v) = f(u) + f(v) - f(0): then the first
            layer of a label sweep is computed once for all labels. True for batch normalization, not for what divides
            by each input's own length.
    """

    kind = "normalizer"
    position: Literal["input", "preactivation", "activation", "output"] = "input"
    keeps_statistics: bool = False
    affine: bool = False

    def prepare(self, classes: int) -> None:
        """Told once, before ``build``, how many classes there are; most normalizers need not know."""
        return None

    @abstractmethod
    def build(self, shape: Shape) -> nn.Module:
        """A module that maps ``[B, *shape]`` to ``[B, *shape]``, without changing its input."""
