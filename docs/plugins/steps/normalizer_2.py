"""Divide every sample by a power of its root mean square."""

from pydantic import Field
from torch import nn

import ffprobe


class Divide(nn.Module):
    def __init__(self, exponent):
        super().__init__()
        self.exponent = exponent

    def forward(self, x):  # [B, *shape], same shape out
        size = x.flatten(1).square().mean(dim=1).add(1e-8).sqrt()  # [B]
        return x / size.pow(self.exponent).view(-1, *[1] * (x.dim() - 1))


class SoftLength(ffprobe.Normalizer):
    """x / (root mean square of x) ** exponent, over all features of a sample; no parameters."""

    name = "soft-length"

    class Params(ffprobe.Params):
        """How much of the length is removed."""

        exponent: float = Field(1.0, ge=0, le=1, description="share of the length to remove: 0 none, 1 all")

    def build(self, shape):
        return Divide(self.params.exponent)


@ffprobe.hookimpl
def ffprobe_components():
    return [SoftLength]
