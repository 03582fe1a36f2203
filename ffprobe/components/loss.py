"""Losses: the local objective of one layer, and the context in which it is computed."""

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
    """What a loss may use in addition to goodness; the tensors are read-only.

    Attributes:
        layer: index of the layer that the loss is computed on, from 0.
        depth: number of layers.
        step: number of optimizer steps completed before this one, from 0, over the whole run.
        epoch: index of the epoch, from 0.
        activation: the activation of that layer with its graph: ``[B, *shape]`` in form ``class``; ``[2B, *shape]`` in
            form ``pair``, positives first, then negatives.
        labels: the true labels, int64 ``[B]``.
        earlier: detached goodness of the layers before that had a loss in this step, first layer first: a (positive,
            negative) pair of ``[B]`` each in form ``pair``, ``[B, K]`` each in form ``class``.
        input: the detached input of that layer: ``[B, *input_shape]`` in form ``class``, ``[2B, *input_shape]`` in form
            ``pair``.
        module: the module that ``Loss.build`` returned for that layer; None if it returned None.
        images: the batch of inputs (images, signals or tables), normalized as the network receives them, without
            labels: ``[B, *shape]`` in form ``class``, ``[2B, *shape]`` in form ``pair``; None if the learning rule does
            not pass them.
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
    images: torch.Tensor | None = None


class Loss(Component):
    """The local objective of one layer.

    A loss of form ``pair`` is called as ``loss(positive[B], negative[B], context)``, a loss of form ``class`` as
    ``loss(goodness[B, K], labels[B], context)``. Both return a scalar with a graph to the goodness.

    Attributes:
        form: the form of goodness that the loss is computed from; a run needs goodness and loss of the same form.
        averages: whether the loss of a batch is the mean of the losses of its images, each computed alone. Several
            processes can then share a batch. False if images are compared with each other, or if losses are summed.
    """

    kind = "loss"
    form: ClassVar[Form] = "pair"
    averages: ClassVar[bool] = True

    def prepare(self, image: Shape) -> None:
        """Receive the shape of one input, without the batch; called before ``build``. Most losses ignore it."""
        return None

    def build(self, shape: Shape, classes: int) -> nn.Module | None:
        """Build what the loss keeps at one layer: trainable parameters, and fixed matrices as buffers.

        The module belongs to the network as the layer's ``loss``, is trained by the layer's optimizer, and is passed to
        each call as ``context.module``.

        Args:
            shape: the shape of one activation of the layer, without the batch dimension.
            classes: number of classes, K.

        Returns:
            The module, or None (the default) if the loss keeps nothing.
        """
        return None

    @abstractmethod
    def __call__(self, first: torch.Tensor, second: torch.Tensor, context: LossContext) -> torch.Tensor:
        """Compute the loss; the mean over the batch, unless the component documents otherwise.

        Args:
            first: goodness: of the positives, ``[B]``, in form ``pair``; of all classes, ``[B, K]``, in form ``class``.
            second: goodness of the negatives, ``[B]``, in form ``pair``; the true labels, int64 ``[B]``, in form
                ``class``.
            context: the layer, the step and further tensors.

        Returns:
            A scalar with a graph to the goodness, in the dtype of the goodness.
        """

    def derivatives(self, positive: torch.Tensor, negative: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The derivatives of the loss in closed form, used by ``ffprobe analyze symmetry``; optional.

        Args:
            positive: goodness of the positives, ``[B]``.
            negative: goodness of their negatives, ``[B]``.

        Returns:
            dL/dpositive ``[B]`` and dL/dnegative ``[B]``, where L is the scalar that ``__call__`` returns.

        Raises:
            NotImplementedError: the component has no derivatives in closed form; training does not need them.
        """
        raise NotImplementedError(f"{self.name} has no derivatives in closed form")
