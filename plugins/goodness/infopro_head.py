"""The logits of InfoPro's auxiliary network, one convolution and a perceptron."""

from __future__ import annotations

from ffprobe_plugins.goodness.head_sequence import HeadSequence, needs_maps
from pydantic import Field
from torch import nn

import ffprobe


class InfoProHead(ffprobe.Goodness):
    """Scores each class with InfoPro's auxiliary network: a 3x3 convolution of stride 2 with batch normalization and
    ReLU, the mean over positions, and a perceptron with one hidden layer.

    The loss ``infopro`` adds the reconstruction of the image.
    """

    name = "infopro-head"
    form = "class"
    source = "InfoPro, Wang et al. 2021, arXiv:2101.10832; ChenxiangMA/AugLocal"

    class Params(ffprobe.Params):
        """The sizes of the head."""

        channels: int = Field(32, ge=1, description="channels of the convolution, at least 1")
        hidden: int = Field(128, ge=1, description="units of the hidden layer, at least 1")

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, C, H, W]`` to ``[B, K]``; it returns float32 under bf16 as well."""
        needs_maps(self.name, shape)
        channels, hidden = self.params.channels, self.params.hidden
        return HeadSequence(
            nn.Conv2d(shape[0], channels, 3, 2, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(channels, hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [InfoProHead]
