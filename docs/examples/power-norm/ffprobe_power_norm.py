"""Each sample divided by a power of its p-norm."""

import torch
from pydantic import Field
from torch import nn

import ffprobe


class PowerNorm(ffprobe.Normalizer):
    """x / (p-norm of x, per feature) ** exponent, over all features of a sample; no parameters.

    The p-norm per feature is mean(|x| ** p) ** (1 / p), so ``p=2, exponent=1`` is root-mean-square normalization. An
    exponent below 1 lets a part of the length, which the next layer could read as goodness, pass.
    """

    name = "power-norm"
    source = "generalizes Hinton 2022, arXiv:2212.13345, Sec. 2.1; not from a paper"

    class Params(ffprobe.Params):
        """Which length, and how much of it is taken away."""

        p: float = Field(2.0, ge=1, le=8, description="order of the norm; large: the strongest unit decides")
        exponent: float = Field(0.5, ge=0, le=1, description="0 changes nothing, 1 makes every length the same")

    def build(self, shape):
        p, exponent = self.params.p, self.params.exponent

        class Module(nn.Module):
            def forward(self, x):  # [B, *shape], same shape out
                wide = x.float() if x.dtype == torch.bfloat16 else x  # powers of bf16 lose too much
                size = torch.linalg.vector_norm(wide.flatten(1), p, dim=1) / x[0].numel() ** (1 / p)  # [B]
                scale = size.clamp_min(1e-8).pow(-exponent).view(-1, *[1] * (x.dim() - 1))
                return (wide * scale).to(x.dtype)

        return Module()


@ffprobe.hookimpl
def ffprobe_components():
    return [PowerNorm]
