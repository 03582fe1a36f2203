"""Divide every sample by its length."""

from torch import nn

import ffprobe


class Divide(nn.Module):
    def forward(self, x):  # [B, *shape], same shape out
        size = x.flatten(1).norm(dim=1) + 1e-8  # [B]
        return x / size.view(-1, *[1] * (x.dim() - 1))


class SoftLength(ffprobe.Normalizer):
    name = "soft-length"

    def build(self, shape):  # shape of one input without the batch: (C, H, W) or (F,)
        return Divide()


@ffprobe.hookimpl
def ffprobe_components():
    return [SoftLength]
