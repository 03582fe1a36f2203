"""The logits of Nokland and Eidnes' local classifier, an average pooling and one linear map."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

import ffprobe

Window = tuple[tuple[int, ...], tuple[int, ...]]
"""Kernel and padding of an average pooling, along every axis of positions."""


class LocalClassifier(ffprobe.Goodness):
    """Scores each class with Nokland and Eidnes' local classifier: average pooling followed by a linear map, z = D
    pool(h) + d.

    Feature maps are averaged until at most ``inputs`` values are left: starting with windows of 1x1, the height and the
    width of the window are doubled in turn until the result is small enough or the window covers the map; a signal has
    a window of time steps. Zeros that
    pad the last windows count in the average. The activation of a linear layer is used as it is.

    With ``cross-entropy``, this is their loss `pred`; with ``predsim``, their loss of that name. In the original, the
    output layer on top of the last hidden layer learns from the same loss on the same activation as that layer's own
    classifier, so the goodness of the last layer replaces it here.

    The original initializes D with 0 (``start=zero``), so its first step with `pred` changes only the classifiers.

    With ``detached``, no gradient of the classifier reaches the layer: the classifier only measures what the layer
    learns from another loss (`sim` alone). The original has no classifier in that case.
    """

    name = "local-classifier"
    aliases = ("pred",)
    form = "class"
    source = "Nokland & Eidnes 2019, arXiv:1901.06656; pooling as in the authors' code"

    class Params(ffprobe.Params):
        """The input and the initial weights of the classifier."""

        inputs: int = Field(
            2048,
            ge=1,
            description="maximum number of values that the classifier reads; feature maps are average-pooled "
            "until they fit",
        )
        start: Literal["torch", "zero"] = Field(
            "torch",
            description="initial weights D of the classifier: torch (the default of torch.nn.Linear) or zero, "
            "as in the authors' code",
        )
        detached: bool = Field(
            False,
            description="stop the gradient of the classifier before the layer, so that the classifier only measures it",
        )

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, *shape]`` to ``[B, K]``; it returns float32 under bf16 as well."""
        window = pooling(shape, self.params.inputs)
        detached, start = self.params.detached, self.params.start

        class Module(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.linear = nn.Linear(pooled_size(shape, window), classes)
                if start == "zero":
                    nn.init.zeros_(self.linear.weight)

            def forward(self, activation: torch.Tensor) -> torch.Tensor:
                activation = activation.detach() if detached else activation
                logits = self.linear(pool(activation, window).flatten(1))
                return logits.float() if logits.dtype == torch.bfloat16 else logits

        return Module()


def pooling(shape: ffprobe.Shape, inputs: int) -> Window | None:
    """Kernel and padding of the average pooling before a local classifier; None for linear layers.

    Args:
        shape: shape of the activation.
        inputs: maximum number of values after pooling, as far as averaging whole maps allows.
    """
    if len(shape) == 1:
        return None
    channels, lengths = shape[0], shape[1:]
    kernel = [1] * len(lengths)
    sides = list(lengths)
    while channels * math.prod(sides) > inputs and any(k < n for k, n in zip(kernel, lengths, strict=True)):
        for axis, side in enumerate(lengths):
            if channels * math.prod(sides) > inputs and kernel[axis] < side:
                kernel[axis] *= 2
                sides[axis] = -(-side // kernel[axis])
    padding = [k * (n - side // k) // 2 for k, n, side in zip(kernel, sides, lengths, strict=True)]
    return tuple(kernel), tuple(padding)


def pool(activation: torch.Tensor, window: Window | None) -> torch.Tensor:
    """Average the activation ``[B, *shape]`` over windows."""
    if window is None:
        return activation
    average = functional.avg_pool2d if len(window[0]) == 2 else functional.avg_pool1d
    return average(activation, window[0], padding=window[1])


def pooled_size(shape: ffprobe.Shape, window: Window | None) -> int:
    """Number of values that pooling leaves of an activation of ``shape``."""
    return pool(torch.zeros(1, *shape), window).numel()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [LocalClassifier]
