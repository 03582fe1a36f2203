"""Local losses against fixed random projections of the label."""

from __future__ import annotations

from typing import Any

import torch
from ffprobe_plugins.goodness.local_classifier import pool, pooling
from ffprobe_plugins.goodness.random_code import random_projection
from ffprobe_plugins.losses.predsim import PredSim, similarity_matrix
from pydantic import Field
from torch import nn

import ffprobe


class PredSimBio(PredSim, ffprobe.Loss):
    """Combines the likelihood of the label's random code and similarity matching: -pred * goodness[y] + beta * mean
    over all pairs of (S(pool h) - S(P onehot y))^2, with a fixed random P.

    Use it with ``random-code``: the goodness of the true class is then the negative binary cross entropy of `pred` in
    this variant, and its errors reach the layer through fixed feedback. The similarities are those of the activation
    itself, average-pooled as for that classifier, without a learned map.

    Deviation: P is drawn separately from the one of ``random-code``; the authors' code uses one for both.
    """

    name = "predsim-bio"
    form = "class"
    averages = False
    source = "Nokland & Eidnes 2019, arXiv:1901.06656; formulas as in the authors' code"

    class Params(ffprobe.Params):
        """The weights of the terms, and the input of the similarities."""

        beta: float = Field(
            0.99, ge=0, le=1, description="weight of similarity matching, in [0, 1]; 0.99 as in the paper"
        )
        pred: float | None = Field(
            None, ge=0, description="weight of the likelihood of the code, at least 0; empty uses 1 - beta"
        )
        bits: int = Field(128, ge=1, description="length of the random projection of the labels")
        inputs: int = Field(
            2048,
            ge=1,
            description="maximum number of values that the similarities use; feature maps are average-pooled "
            "until they fit",
        )
        unsupervised: str = Field("none", pattern="^none$", description="unsupervised term; this variant has none")

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module | None:
        """Build P as ``projection`` ``[bits, K]``, fixed; None without similarity matching."""
        if self.params.beta == 0:
            return None
        module: Any = nn.Module()
        module.window = pooling(shape, self.params.inputs)
        module.register_buffer("projection", random_projection(self.params.bits, classes))
        return module

    def classification(self, goodness: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The mean of -log p(code of the true class) per bit."""
        return -goodness.gather(1, labels[:, None]).mean()

    def similarities(self, context: ffprobe.LossContext) -> torch.Tensor:
        """S(pool h), ``[B, B]``, with its graph."""
        module: Any = context.module
        return similarity_matrix(pool(context.activation.to(module.projection.dtype), module.window))

    def targets(self, labels: torch.Tensor, classes: int, context: ffprobe.LossContext) -> torch.Tensor:
        """S(P onehot y), ``[B, B]``."""
        module: Any = context.module
        return similarity_matrix(module.projection.T[labels])


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [PredSimBio]
