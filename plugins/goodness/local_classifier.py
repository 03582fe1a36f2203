"""Goodness as the logits of Nokland and Eidnes' local classifier: average pooling, then one linear map."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

import ffprobe

Window = tuple[tuple[int, int], tuple[int, int]]


class LocalClassifier(ffprobe.Goodness):
    """z = D pool(h) + d for each class.

    Maps are averaged until at most ``inputs`` numbers are left: beginning with windows of 1x1, height and width are
    doubled in turn as long as that is not enough and they are below the map's; zeros padded to complete the last
    windows count in the average. Linear layers are taken as they are.

    With ``cross-entropy`` this is their loss `pred`, with ``predsim`` theirs of that name. Their output layer on top of
    the last hidden one learns from the same loss on the same activation as that layer's own classifier, so the last
    layer's goodness takes its place.

    The original starts D at 0 (``start=zero``), so that in its first step `pred` moves nothing but classifiers.

    ``detached`` keeps what the classifier learns from the layer below it: it reads along and says how much the layer
    has learned from another loss (`sim` alone). The original has no classifier then.
    """

    name = "local-classifier"
    aliases = ("pred",)
    form = "class"
    source = "Nokland & Eidnes 2019, arXiv:1901.06656; pooling as in the authors' code"

    class Params(ffprobe.Params):
        """What the classifier sees."""

        inputs: int = Field(
            2048, ge=1, description="most numbers that the classifier reads of a map; pooled until then"
        )
        start: Literal["torch", "zero"] = Field(
            "torch", description="of D: as torch's linear layers, or 0 as originally"
        )
        detached: bool = Field(False, description="hand nothing back to the layer: the classifier only reads along")

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """``[B, *shape]`` to ``[B, K]``, float32 also under bf16."""
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
        shape: of the activation.
        inputs: the most numbers that may be left, as far as averaging whole maps allows.
    """
    if len(shape) != 3:
        return None
    channels, height, width = shape
    kernel = [1, 1]
    sides = [height, width]
    while channels * sides[0] * sides[1] > inputs and (kernel[0] < height or kernel[1] < width):
        for axis, side in enumerate((height, width)):
            if channels * sides[0] * sides[1] > inputs and kernel[axis] < side:
                kernel[axis] *= 2
                sides[axis] = -(-side // kernel[axis])
    padding = [k * (n - side // k) // 2 for k, n, side in zip(kernel, sides, (height, width), strict=True)]
    return (kernel[0], kernel[1]), (padding[0], padding[1])


def pool(activation: torch.Tensor, window: Window | None) -> torch.Tensor:
    """The activation ``[B, *shape]`` averaged over windows."""
    return activation if window is None else functional.avg_pool2d(activation, window[0], padding=window[1])


def pooled_size(shape: ffprobe.Shape, window: Window | None) -> int:
    """How many numbers are left of an activation of ``shape``."""
    return pool(torch.zeros(1, *shape), window).numel()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [LocalClassifier]
