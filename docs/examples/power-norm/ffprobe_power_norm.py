"""Divides each sample by a power of its p-norm."""

import torch
from pydantic import Field
from torch import nn

import ffprobe


class PowerNorm(ffprobe.Normalizer):
    """Divides each sample by a power of its length: x / (p-norm of x, per feature) ** exponent, over all features.

    The p-norm per feature is mean(|x| ** p) ** (1 / p), so ``p=2, exponent=1`` is root-mean-square normalization. With
    an exponent below 1, part of the length, which the next layer could read as goodness, is passed on.
    """

    name = "power-norm"
    source = "generalizes Hinton 2022, arXiv:2212.13345, Sec. 2.1; not from a paper"

    class Params(ffprobe.Params):
        """The norm, and how much of it is removed."""

        p: float = Field(
            2.0, ge=1, le=8, description="order of the norm, in [1, 8]; for large values, the strongest unit decides"
        )
        exponent: float = Field(
            0.5,
            ge=0,
            le=1,
            description="exponent of the norm, in [0, 1]; 0 changes nothing, 1 gives all samples the same length",
        )

    def build(self, shape):
        p, exponent = self.params.p, self.params.exponent

        class Module(nn.Module):
            def forward(self, x):  # [B, *shape], same shape out
                wide = x.float() if x.dtype == torch.bfloat16 else x  # powers in bf16 lose too much precision
                size = torch.linalg.vector_norm(wide.flatten(1), p, dim=1) / x[0].numel() ** (1 / p)  # [B]
                scale = size.clamp_min(1e-8).pow(-exponent).view(-1, *[1] * (x.dim() - 1))
                return (wide * scale).to(x.dtype)

        return Module()


@ffprobe.hookimpl
def ffprobe_components():
    return [PowerNorm]
