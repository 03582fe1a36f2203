"""The logits of decoupled greedy learning's auxiliary network of 1x1 convolutions and a perceptron."""

from __future__ import annotations

from ffprobe_plugins.goodness.head_sequence import HeadSequence, needs_maps
from pydantic import Field
from torch import nn

import ffprobe


class DGLHead(ffprobe.Goodness):
    """Scores each class with the auxiliary network of decoupled greedy learning (MLP-SR-aux): the map averaged to a
    quarter of its side, three 1x1 convolutions with batch normalization and ReLU, averaged to 2x2 positions, two linear
    maps with batch normalization and ReLU, and a linear map to the classes.

    The cost is small, since the convolutions see a sixteenth of the positions. ``hidden`` is the width of the
    perceptron; 0 makes it four times the number of channels.
    """

    name = "dgl-head"
    aliases = ("dgl",)
    form = "class"
    source = "Belilovsky, Eickenberg & Oyallon 2020, arXiv:1901.08164; ChenxiangMA/AugLocal"

    class Params(ffprobe.Params):
        """The sizes of the head."""

        pooled: int = Field(0, ge=0, description="side of the map that the convolutions see; 0: a quarter, rounded up")
        hidden: int = Field(0, ge=0, description="width of the perceptron; 0: four times the number of channels")

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, C, H, W]`` to ``[B, K]``; it returns float32 under bf16 as well."""
        needs_maps(self.name, shape)
        channels, height, width = shape
        pooled = self.params.pooled
        sides = (pooled, pooled) if pooled else (-(-height // 4), -(-width // 4))
        hidden = self.params.hidden or 4 * channels
        parts: list[nn.Module] = [nn.AdaptiveAvgPool2d(sides)]
        for _ in range(3):
            parts += [nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
        parts += [nn.AdaptiveAvgPool2d(2), nn.Flatten()]
        features = 4 * channels
        for _ in range(2):
            parts += [nn.Linear(features, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()]
            features = hidden
        return HeadSequence(*parts, nn.Linear(hidden, classes))


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [DGLHead]
