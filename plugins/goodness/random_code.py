"""Goodness as the likelihood of each class's random code under a local classifier with random feedback."""

from __future__ import annotations

import math
from typing import Literal

import torch
from ffprobe_plugins.goodness.local_classifier import pool, pooled_size, pooling
from pydantic import Field
from torch import nn
from torch.nn import functional

import ffprobe


class RandomCode(ffprobe.Goodness):
    """Every class has a fixed random code; goodness is how likely the classifier holds the code of each class.

    P [D, K] is fixed and random; class k has the code c_k = [P e_k > 0], D bits. z = D pool(h) + d predicts the bits,
    and the goodness of class k is the mean over the bits of log p(bit of c_k), p = sigmoid(z). Its negative for the
    true class is the binary cross entropy that Nokland and Eidnes minimize in their more biologically plausible
    variant (``predsim-bio`` with ``beta=0``); reading the other classes off the same z is ours, since their local
    classifiers predict nothing.

    What reaches pool(h) comes through a fixed random matrix in place of D. The original starts D at 0 (``start=zero``);
    d starts at 0. Pooling is that of ``local-classifier``.
    """

    name = "random-code"
    aliases = ("pred-bio",)
    form = "class"
    source = "Nokland & Eidnes 2019, arXiv:1901.06656; formulas as in the authors' code"

    class Params(ffprobe.Params):
        """How long the codes are, and what the classifier sees."""

        bits: int = Field(128, ge=1, description="length of each class's code")
        start: Literal["torch", "zero"] = Field(
            "torch", description="of D: as torch's linear layers, or 0 as originally"
        )
        inputs: int = Field(
            2048, ge=1, description="most numbers that the classifier reads of a map; pooled until then"
        )

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """``[B, *shape]`` to ``[B, K]``, at most 0; float32 also under bf16."""
        window, bits, start = pooling(shape, self.params.inputs), self.params.bits, self.params.start
        size = pooled_size(shape, window)

        class Module(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                bound = 1 / math.sqrt(size)
                first = torch.zeros(bits, size)
                self.weight = nn.Parameter(first if start == "zero" else first.uniform_(-bound, bound))
                self.bias = nn.Parameter(torch.zeros(bits))
                self.register_buffer("feedback", torch.empty(bits, size).uniform_(-bound, bound))
                self.register_buffer("projection", random_projection(bits, classes))

            def forward(self, activation: torch.Tensor) -> torch.Tensor:
                x = pool(activation, window).flatten(1)
                x = x.to(self.weight.dtype)
                back = functional.linear(x, self.feedback)
                # the last two cancel exactly; only their gradients differ: dL/dx = (dL/dz) feedback
                z = functional.linear(x.detach(), self.weight, self.bias) + (back - back.detach())  # [B, D]
                z = z.float() if z.dtype == torch.bfloat16 else z
                codes = (self.projection > 0).to(z.dtype)  # [D, K]
                # log p = z - softplus(z) for a 1 and -softplus(z) for a 0; the slope at 0 is bit - 1/2
                return (z @ codes - functional.softplus(z).sum(1, keepdim=True)) / bits

        return Module()


def random_projection(size: int, classes: int) -> torch.Tensor:
    """``[size, classes]``, drawn as the weights of torch's linear layers: uniform within 1 / sqrt(classes)."""
    bound = 1 / math.sqrt(classes)
    return torch.empty(size, classes).uniform_(-bound, bound)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [RandomCode]
