"""The local objective of one layer, and what it may look at beside goodness."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ffprobe.components.base import Component, Form, Shape

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class LossContext:
    """What a loss may look at beside goodness; tensors are read-only.

    Attributes:
        layer: index of the layer whose loss this is, from 0.
        depth: the number of layers.
        step: optimizer steps done before this one, from 0, over the whole run.
        epoch: from 0.
        activation: that layer's activation ``[B, *shape]`` with its graph; positives first, then negatives (form
            ``pair``), so ``[2B, *shape]``.
        labels: int64 ``[B]``, the true labels.
        earlier: goodness of the layers before, detached, each as the layer's own (positive, negative) pair of ``[B]``,
            or a single ``[B, K]`` in form ``class``; first layer first.
        input: what that layer got, detached, ``[B, *input_shape]`` (``[2B, ...]`` in form ``pair``).
        module: what ``Loss.build`` returned for that layer; None when it returned nothing.
    """

    layer: int
    depth: int
    step: int
    epoch: int
    activation: torch.Tensor
    labels: torch.Tensor
    earlier: tuple[Any, ...] = ()
    input: torch.Tensor | None = None
    module: nn.Module | None = None


class Loss(Component):
    """The local objective of one layer.

    Form ``pair`` is called as ``loss(positive[B], negative[B], context)``, form ``class`` as
    ``loss(goodness[B, K], labels[B], context)``; both return a scalar with a graph to their goodness.

    Attributes:
        averages: whether the loss of a batch is the mean of the losses of its images each by itself, so that several
            processes may share a batch; False where images are held against one another, or losses summed.
    """

    kind = "loss"
    form: ClassVar[Form] = "pair"
    averages: ClassVar[bool] = True

    def build(self, shape: Shape, classes: int) -> nn.Module | None:
        """What the loss keeps at a layer with activations of ``shape``: parameters that the layer's optimizer trains,
        fixed matrices as buffers. It lies in the network as the layer's ``loss`` and comes back as ``context.module``.
        """
        return None

    @abstractmethod
    def __call__(self, first: torch.Tensor, second: torch.Tensor, context: LossContext) -> torch.Tensor:
        """The loss, averaged over the batch unless the component says otherwise."""

    def derivatives(self, positive: torch.Tensor, negative: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss's derivatives in closed form, for whoever checks them (``ffprobe analyze symmetry``); optional.

        Args:
            positive: goodness of positives ``[B]``.
            negative: goodness of their negatives ``[B]``.

        Returns:
            dL/dpositive ``[B]`` and dL/dnegative ``[B]`` of the scalar that calling the loss gives.

        Raises:
            NotImplementedError: the component offers none; training never asks for them.
        """
        raise NotImplementedError(f"{self.name} offers no derivatives in closed form")
