"""How good an activation is."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ffprobe.components.base import Component, Form, Shape

if TYPE_CHECKING:
    from torch import nn


class Goodness(Component):
    """How good an activation is.

    Attributes:
        form: ``pair`` (``[B, *shape]`` to ``[B]``) or ``class`` (``[B, *shape]`` to ``[B, K]``).
    """

    kind = "goodness"
    form: ClassVar[Form] = "pair"

    @abstractmethod
    def build(self, shape: Shape, classes: int) -> nn.Module:
        """A module that maps an activation ``[B, *shape]`` to its goodness; it may hold parameters (a local head).

        The activation is float32, or bfloat16 under ``--precision bf16``; the goodness must be float32 (float64 where
        the activation is).
        """
