"""Which layers a network has, and what each of them is."""

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
"""``leaky-relu`` has the slope 0.01."""


@dataclass(frozen=True)
class Shortcut:
    """What an earlier layer passed on, joined to what this layer passes on; goodness never sees it.

    Attributes:
        source: the earlier layer, from 0.
        join: ``add``, or ``concat`` along channels (this layer's own first).
        pool: side of the average pooling window on the way; 1 is none.
        detached: whether the joined part carries no graph, also within one update group.
    """

    source: int
    join: Literal["add", "concat"] = "add"
    pool: int = 1
    detached: bool = True


@dataclass(frozen=True)
class LayerSpec:
    """One layer of a network, in words.

    The order is: average pooling of the input (``input_avg_pool``), the normalizer if its position is the input, the
    convolution or linear map, the normalizer if its position is before the activation, activation, max pooling
    (``pool``), the normalizer if its position is the activation, dropout. Goodness is read here. The output to the next
    layer then goes through the normalizer if its position is the output, max pooling (``output_max_pool``) and the
    shortcut.

    Attributes:
        kind: ``conv`` (padding keeps the size at stride 1), ``linear`` (flattens its input), or ``module``
            (``factory`` builds it).
        width: output channels or features; ignored for ``module``.
        pool: side of the max pooling window after a convolution; 1 is none.
        bias: whether the convolution or linear map has a bias.
        factory: for ``module``: takes the input shape, returns an ``nn.Module`` that keeps the batch dimension; its
            output is the layer's activation (no further non-linearity is applied).
        activation: a name, or a function applied to the whole tensor; not used for ``module``.
        kernel: side of the convolution's kernel, odd.
        stride: of the convolution.
        groups: of the convolution.
        input_avg_pool: side of an average pooling window on the layer's input; 1 is none.
        output_max_pool: side of a max pooling window on what is passed on, after goodness was read; 1 is none.
        shortcut: what is joined to what is passed on.
        dropout: share of the activation's numbers that training sets to zero, dividing the others by the rest of the
            share, 0 or more and below 1; the masks come from the generator that ``torch.manual_seed`` seeds.
        goodness: this layer's own goodness, in place of the run's; of the same form.
        loss: this layer's own loss, in place of the run's; of the same form.
        normalizer: this layer's own normalizer, in place of the run's.
    """

    kind: Literal["conv", "linear", "module"]
    width: int = 0
    pool: int = 1
    bias: bool = False
    factory: Callable[[Shape], nn.Module] | None = None
    activation: ActivationName | Callable[[torch.Tensor], torch.Tensor] = "relu"
    kernel: int = 3
    stride: int = 1
    groups: int = 1
    input_avg_pool: int = 1
    output_max_pool: int = 1
    shortcut: Shortcut | None = None
    dropout: float = 0.0
    goodness: Goodness | None = None
    loss: Loss | None = None
    normalizer: Normalizer | None = None


class Network(Component):
    """Which layers, in which order.

    Attributes:
        learning_rate_steps: the paper's learning-rate schedule for this network as (share of the run, factor) pairs:
            from that share of the run's steps on, the base rate is multiplied by the factor.
    """

    kind = "network"
    learning_rate_steps: ClassVar[tuple[tuple[float, float], ...]] = ((0.75, 0.1),)

    @abstractmethod
    def layers(self, shape: Shape, classes: int) -> list[LayerSpec]:
        """The layers, first to last.

        Args:
            shape: of what the encoder returns, without the batch.
            classes: the number of classes.

        Raises:
            UsageError: the images are too small for this network.
        """
