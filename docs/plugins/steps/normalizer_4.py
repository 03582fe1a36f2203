"""Divide every sample by a power of its root mean square, relative to the usual root mean square."""

from typing import Literal

import torch
from pydantic import Field
from torch import nn

import ffprobe


class Divide(nn.Module):
    def __init__(self, exponent):
        super().__init__()
        self.exponent = exponent
        self.register_buffer("usual", torch.ones(()))  # running mean over batches; saved with the network

    def forward(self, x):  # [B, *shape], same shape out
        size = x.flatten(1).square().mean(dim=1).add(1e-8).sqrt()  # [B]
        usual = self.usual
        if self.training:
            usual = size.mean()
            self.usual.lerp_(usual.detach().to(self.usual.dtype), 0.1)
        scale = usual * (size / usual).pow(self.exponent)
        return x / scale.view(-1, *[1] * (x.dim() - 1))


class SoftLength(ffprobe.Normalizer):
    """x / (usual * (size / usual) ** exponent), where size is the root mean square over all features of a sample.

    ``usual`` is the batch's mean size in training and the running mean (momentum 0.1) in evaluation, so activations
    stay around one whatever the exponent.
    """

    name = "soft-length"
    keeps_statistics = True  # training and evaluation differ on purpose

    class Params(ffprobe.Params):
        """How much of the length is removed, and where."""

        exponent: float = Field(
            0.5, ge=0, le=1, description="share of the length to remove: 0 only the usual one, 1 all"
        )
        position: Literal["input", "output"] = Field("input", description="normalize a layer's input or its output")

    def __init__(self, params=None):
        super().__init__(params)
        self.position = self.params.position

    def build(self, shape):
        return Divide(self.params.exponent)


@ffprobe.hookimpl
def ffprobe_components():
    return [SoftLength]
