"""The local loss of one layer: its goodness, split as the loss's form wants it, and the loss on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from ffprobe.components.base import Form
from ffprobe.components.loss import Loss, LossContext
from ffprobe.network.layer import Layer


@dataclass(frozen=True)
class LossPosition:
    """Where in a network a loss is computed.

    Attributes:
        layer: index of the layer, from 0.
        depth: number of layers of the network.
        form: of the network's goodness.
    """

    layer: int
    depth: int
    form: Form


@dataclass(frozen=True)
class LocalLoss:
    """The loss of one layer on one batch.

    Attributes:
        loss: scalar, with its graph.
        goodness: detached; a (positive, negative) pair of ``[B]`` in form ``pair``, ``[B, K]`` in form ``class``. Later
            layers get it in ``LossContext.earlier``.
        means: detached scalars, each a mean over the batch: the loss, and in form ``pair`` the goodness of positives
            and of negatives. ``ProcessGroup.backward`` averages them, ``Update`` reports them.
    """

    loss: torch.Tensor
    goodness: Any
    means: tuple[torch.Tensor, ...]


def loss_arguments(
    layer: Layer,
    position: LossPosition,
    goodness: torch.Tensor,
    activation: torch.Tensor,
    labels: torch.Tensor,
    *,
    step: int = 0,
    epoch: int = 0,
    earlier: Sequence[Any] = (),
    layer_input: torch.Tensor | None = None,
    images: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, LossContext]:
    """The arguments of a loss: (positive, negative, context) or, in form ``class``, (goodness, labels, context).

    Args:
        layer: whose loss this is.
        position: of that layer in the network.
        goodness: of the activation: ``[2B]``, positives first, in form ``pair``; ``[B, K]`` in form ``class``.
        activation: ``[2B, *shape]`` or ``[B, *shape]``.
        labels: int64 ``[B]``, the true labels.
        step: optimizer steps done before this one, from 0, over the whole run.
        epoch: from 0.
        earlier: ``LocalLoss.goodness`` of the layers before, first layer first.
        layer_input: the layer's input; detached here.
        images: the batch of images, as the network receives them.
    """
    context = LossContext(
        position.layer,
        position.depth,
        step,
        epoch,
        activation,
        labels,
        tuple(earlier),
        None if layer_input is None else layer_input.detach(),
        getattr(layer, "loss", None),
        images,
    )
    if position.form == "class":
        return goodness, labels, context
    half = goodness.shape[0] // 2
    return goodness[:half], goodness[half:], context


def local_loss(
    layer: Layer,
    position: LossPosition,
    activation: torch.Tensor,
    labels: torch.Tensor,
    loss: Loss,
    *,
    step: int = 0,
    epoch: int = 0,
    earlier: Sequence[Any] = (),
    layer_input: torch.Tensor | None = None,
    images: torch.Tensor | None = None,
    goodness: torch.Tensor | None = None,
    autocast: Callable[[], Any] = nullcontext,
) -> LocalLoss:
    """The loss of one layer; its own loss (``LayerSpec.loss``) where it has one, else ``loss``.

    Goodness is computed under ``autocast``, the loss in full precision. Arguments not listed here are those of
    ``loss_arguments``.

    Args:
        layer: whose loss this is.
        position: of that layer in the network.
        activation: ``[2B, *shape]`` in form ``pair``, positives first; ``[B, *shape]`` in form ``class``.
        labels: int64 ``[B]``, the true labels.
        loss: of the run.
        step: optimizer steps done before this one, from 0, over the whole run.
        epoch: from 0.
        earlier: ``LocalLoss.goodness`` of the layers before, first layer first.
        layer_input: the layer's input.
        images: the batch of images, as the network receives them.
        goodness: of the activation, where it is known; computed otherwise.
        autocast: returns a fresh context manager of the run's precision.
    """
    if goodness is None:
        with autocast():
            goodness = layer.goodness(activation)
    first, second, context = loss_arguments(
        layer,
        position,
        goodness,
        activation,
        labels,
        step=step,
        epoch=epoch,
        earlier=earlier,
        layer_input=layer_input,
        images=images,
    )
    value = (layer.spec.loss or loss)(first, second, context)
    if position.form == "class":
        return LocalLoss(value, first.detach(), (value.detach(),))
    first, second = first.detach(), second.detach()
    return LocalLoss(value, (first, second), (value.detach(), first.mean(), second.mean()))
