"""The likelihood of each class's random code under a local classifier with random feedback."""

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
    """Scores each class by the likelihood of its fixed random code under a local classifier with random feedback.

    P [D, K] is fixed and random; class k has the code c_k = [P e_k > 0] of D bits. z = D pool(h) + d predicts the bits,
    and the goodness of class k is the mean over the bits of log p(bit of c_k) with p = sigmoid(z). For the true class,
    its negative is the binary cross entropy that Nokland and Eidnes minimize in their more biologically plausible
    variant (``predsim-bio`` with ``beta=0``). Reading the other classes from the same z is our addition, since their
    local classifiers make no prediction.

    The gradient of pool(h) passes through a fixed random matrix instead of D. The original initializes D with 0
    (``start=zero``); d starts at 0. The pooling is that of ``local-classifier``.
    """

    name = "random-code"
    aliases = ("pred-bio",)
    form = "class"
    source = "Nokland & Eidnes 2019, arXiv:1901.06656; formulas as in the authors' code"

    class Params(ffprobe.Params):
        """The length of the codes, and the input and initial weights of the classifier."""

        bits: int = Field(128, ge=1, description="length of the random code of each class, in bits")
        start: Literal["torch", "zero"] = Field(
            "torch",
            description="initial weights D of the classifier: torch (the default of torch.nn.Linear) or zero, "
            "as in the authors' code",
        )
        inputs: int = Field(
            2048,
            ge=1,
            description="maximum number of values that the classifier reads; feature maps are average-pooled "
            "until they fit",
        )

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module:
        """Build a module that maps ``[B, *shape]`` to ``[B, K]`` with values of at most 0; it returns float32 under
        bf16 as well.
        """
        window, bits, start = pooling(shape, self.params.inputs), self.params.bits, self.params.start
        size = pooled_size(shape, window)

        class Module(nn.Module):
            feedback: torch.Tensor
            projection: torch.Tensor

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
                # back - back.detach() is exactly 0; it only sets the gradient dL/dx = (dL/dz) feedback
                z = functional.linear(x.detach(), self.weight, self.bias) + (back - back.detach())  # [B, D]
                z = z.float() if z.dtype == torch.bfloat16 else z
                codes = (self.projection > 0).to(z.dtype)  # [D, K]
                # log p is z - softplus(z) for a 1 and -softplus(z) for a 0; its derivative at z = 0 is bit - 1/2
                return (z @ codes - functional.softplus(z).sum(1, keepdim=True)) / bits

        return Module()


def random_projection(size: int, classes: int) -> torch.Tensor:
    """``[size, classes]``, drawn like the weights of torch.nn.Linear: uniform within 1 / sqrt(classes)."""
    bound = 1 / math.sqrt(classes)
    return torch.empty(size, classes).uniform_(-bound, bound)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [RandomCode]
