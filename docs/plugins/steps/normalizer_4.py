"""Every sample divided by a power of its root mean square, held against what is usual."""

from typing import Literal

import torch
from pydantic import Field
from torch import nn

import ffprobe


class Divide(nn.Module):
    def __init__(self, exponent):
        super().__init__()
        self.exponent = exponent
        self.register_buffer("usual", torch.ones(()))  # of the batches seen so far; saved with the network

    def forward(self, x):  # [B, *shape], same shape out
        size = x.flatten(1).square().mean(dim=1).add(1e-8).sqrt()  # [B]
        usual = self.usual
        if self.training:
            usual = size.mean()
            self.usual.lerp_(usual.detach().to(self.usual.dtype), 0.1)
        scale = usual * (size / usual).pow(self.exponent)
        return x / scale.view(-1, *[1] * (x.dim() - 1))


class SoftLength(ffprobe.Normalizer):
    """x / (usual * (size / usual) ** exponent), size being the root mean square over all features of a sample.

    What is usual is the batch's mean size in training and the running mean (momentum 0.1) in evaluation, so that
    activations stay around one whatever the exponent.
    """

    name = "soft-length"
    keeps_statistics = True  # training and evaluation differ, and mean to

    class Params(ffprobe.Params):
        """How much of the length is taken away, and where."""

        exponent: float = Field(0.5, ge=0, le=1, description="0: the usual length only, 1: every length the same")
        place: Literal["input", "output"] = Field("input", description="of a layer: what it gets, or what it passes on")

    def __init__(self, params=None):
        super().__init__(params)
        self.place = self.params.place

    def build(self, shape):
        return Divide(self.params.exponent)


@ffprobe.hookimpl
def ffprobe_components():
    return [SoftLength]
