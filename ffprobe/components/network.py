"""Networks: the layers of a network, and the description of each layer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from ffprobe.components.base import Component, Shape

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ffprobe.components.goodness import Goodness
    from ffprobe.components.loss import Loss
    from ffprobe.components.normalizer import Normalizer


ActivationName = Literal["relu", "leaky-relu", "tanh", "none"]
"""Names of activation functions; ``leaky-relu`` has a slope of 0.01 below 0."""


@dataclass(frozen=True)
class Shortcut:
    """Joins the output of an earlier layer to the output of this layer; goodness is computed without it.

    Attributes:
        source: index of the earlier layer, from 0.
        join: ``add``, or ``concat`` along channels (this layer's own channels first).
        pool: side of the average pooling window applied to the earlier output, in positions; 1 for no pooling.
        detached: whether the joined output is detached from its graph, also within one update group.
    """

    source: int
    join: Literal["add", "concat"] = "add"
    pool: int = 1
    detached: bool = True


@dataclass(frozen=True)
class LayerSpec:
    """The description of one layer of a network.

    Shapes have channels first: ``(C, H, W)`` for images and feature maps, ``(C, T)`` for signals, ``(F,)`` for tables.
    A convolution of a signal goes over time, with a kernel, stride, padding and pooling in time steps; a table has no
    positions, so that a convolution or pooling of it is a UsageError.

    A layer computes, in this order: average pooling of the input (``input_avg_pool``), the normalizer with position
    ``input``, the convolution or linear map, the normalizer with position ``preactivation``, the activation function,
    max pooling (``pool``), the normalizer with position ``activation``, dropout. The result is the layer's activation,
    from which goodness is computed. The output to the next layer is the activation after the normalizer with position
    ``output``, max pooling (``output_max_pool``) and the shortcut.

    Attributes:
        kind: ``conv`` (by default the padding keeps the size at stride 1), ``linear`` (flattens its input), or
            ``module`` (built by ``factory``).
        width: number of output channels or features; ignored for ``module``.
        pool: side of the max pooling window after a convolution, in positions; 1 for no pooling.
        bias: whether the convolution or linear map has a bias.
        factory: for ``module``: takes the input shape without the batch dimension and returns an ``nn.Module`` that
            keeps the batch dimension; its output is the layer's activation (no activation function is applied).
        activation: name of the activation function, or a function that is applied to the whole tensor; ignored for
            ``module``.
        kernel: side of the convolution kernel, odd, in positions: pixels of an image, time steps of a signal.
        stride: stride of the convolution, in positions.
        padding: padding of the convolution on every side, in positions; None for half the kernel, rounded down.
        padding_mode: what the padding consists of, as in ``torch.nn.Conv2d``.
        groups: number of groups of the convolution, as in ``torch.nn.Conv2d``.
        input_avg_pool: side of an average pooling window applied to the layer's input, in positions; 1 for no pooling.
        output_max_pool: side of a max pooling window applied to the output to the next layer, after goodness was
            computed, in positions; 1 for no pooling.
        shortcut: output of an earlier layer to join to this layer's output; None for no shortcut.
        dropout: probability that a number of the activation is set to zero in training, in [0, 1); the others are
            divided by 1 minus this probability. The masks come from torch's global generator.
        goodness: goodness of this layer, instead of the run's; must have the same form.
        loss: loss of this layer, instead of the run's; must have the same form.
        normalizer: normalizer of this layer, instead of the run's.
    """

    kind: Literal["conv", "linear", "module"]
    width: int = 0
    pool: int = 1
    bias: bool = False
    factory: Callable[[Shape], nn.Module] | None = None
    activation: ActivationName | Callable[[torch.Tensor], torch.Tensor] = "relu"
    kernel: int = 3
    stride: int = 1
    padding: int | None = None
    padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros"
    groups: int = 1
    input_avg_pool: int = 1
    output_max_pool: int = 1
    shortcut: Shortcut | None = None
    dropout: float = 0.0
    goodness: Goodness | None = None
    loss: Loss | None = None
    normalizer: Normalizer | None = None


class Network(Component):
    """Lists the layers of a network, in order.

    Attributes:
        learning_rate_steps: the paper's learning rate schedule for this network, as (fraction of the run, factor)
            pairs: from that fraction of all steps on, the base learning rate is multiplied by the factor. A factor
            replaces the one before.
    """

    kind = "network"
    learning_rate_steps: ClassVar[tuple[tuple[float, float], ...]] = ((0.75, 0.1),)

    @abstractmethod
    def layers(self, shape: Shape, classes: int) -> list[LayerSpec]:
        """The layers, first to last; at least one.

        Args:
            shape: the shape of the encoder's output, without the batch dimension.
            classes: number of classes, K.

        Raises:
            UsageError: the inputs have a shape that this network cannot process, or are too small for it.
        """
