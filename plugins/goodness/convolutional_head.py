"""The logits of a local head with one convolution of its own."""

from __future__ import annotations

import torch
from ffprobe_plugins.goodness.positions import same_size_map
from pydantic import Field
from torch import nn

import ffprobe


class ConvolutionalHead(ffprobe.Goodness):
    """Scores each class with a local head: z = relu(norm(conv(h))), logits = linear(mean of z over positions).

    ``conv`` keeps channels and size; ``norm`` is layer normalization over the channels of one position, with learned
    scale and offset. This is the head of SFF (scalable Forward-Forward): with ``cross-entropy`` and ``greedy``, it
    carries part of the layer's work.

    Deviation: the activation of a linear layer, which the code does not have, goes through a linear map of the same
    width instead of the convolution, and that of a signal through a convolution over time.
    """

    name = "convolutional-head"
    aliases = ("sff",)
    form = "class"
    source = "SFF of Zhaoxian-Wu/ffa-theory, code of arXiv:2609.33240"

    class Params(ffprobe.Params):
        """The convolution of the head."""

        kernel: int = Field(5, ge=1, description="side of the head's convolution kernel, in pixels; odd keeps the size")

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, *shape]`` to ``[B, K]``; it returns float32 under bf16 as well."""
        width, kernel, maps = shape[0], self.params.kernel, len(shape) > 1
        positions = tuple(range(1, len(shape)))

        class Module(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                if maps:
                    self.conv = same_size_map(shape, kernel)
                else:
                    self.map = nn.Linear(width, width)
                self.normalizer = nn.LayerNorm(width)
                self.linear = nn.Linear(width, classes)

            def forward(self, activation: torch.Tensor) -> torch.Tensor:
                if maps:
                    z = self.normalizer(self.conv(activation).movedim(1, -1)).relu().mean(dim=positions)  # [B, C]
                else:
                    z = self.normalizer(self.map(activation)).relu()
                logits = self.linear(z)
                return logits.float() if logits.dtype == torch.bfloat16 else logits

        return Module()


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [ConvolutionalHead]
