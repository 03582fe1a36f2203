"""The logits of a local head that is a perceptron on the pooled map."""

from __future__ import annotations

import math
from typing import Any

from ffprobe_plugins.goodness.head_sequence import HeadSequence
from pydantic import Field
from torch import nn

import ffprobe


class PerceptronHead(ffprobe.Goodness):
    """Scores each class with a perceptron of one hidden layer: z = relu(norm(V pool(h))), logits = W z + b.

    ``pool`` averages windows of a feature map, the smallest that leave at most ``pooled`` x ``pooled`` positions, and
    of a signal likewise; the last windows may be smaller. ``norm`` is batch normalization with learned scale and
    offset. The head stands between a linear one, which asks a layer for classes that are separable at once, and
    ``dgl-head``, whose three convolutions can do the layer's work.

    Deviation: none known; the cited work varies number and kind of the head's layers, this is its one-layer perceptron
    with the position-wise average of its spatial heads.
    """

    name = "perceptron-head"
    form = "class"
    source = "auxiliary perceptrons as in Belilovsky, Eickenberg & Oyallon 2020, arXiv:1901.08164"

    class Params(ffprobe.Params):
        """The sizes of the head."""

        pooled: int = Field(4, ge=1, description="largest side of the map that the perceptron sees, in positions")
        hidden: int = Field(128, ge=1, description="hidden units")

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, *shape]`` to ``[B, K]``; it returns float32 under bf16 as well."""
        window = [math.ceil(side / self.params.pooled) for side in shape[1:]]
        sides = [math.ceil(side / length) for side, length in zip(shape[1:], window, strict=True)]
        average: Any = {1: nn.AvgPool1d, 2: nn.AvgPool2d}.get(len(window))
        pool = [average(tuple(window), ceil_mode=True, count_include_pad=False)] if average else []
        hidden, features = self.params.hidden, shape[0] * math.prod(sides)
        return HeadSequence(
            *pool,
            nn.Flatten(),
            nn.Linear(features, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [PerceptronHead]
