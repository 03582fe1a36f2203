"""What a loss may look at beside goodness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
