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
    """-pred * goodness[y] + beta * mean over all pairs of (S(pool h) - S(P onehot y))^2, with P fixed and random.

    For ``random-code``: its goodness of the true class is the negative binary cross entropy that `pred` has in this
    variant, and errors reach the layer through fixed feedback there. Similarities are those of the activation itself,
    averaged as that classifier averages it, without a learned map.

    Deviation: P is drawn here apart from the one of ``random-code``; the authors' code has one for both.
    """

    name = "predsim-bio"
    form = "class"
    averages = False
    source = "Nokland & Eidnes 2019, arXiv:1901.06656; formulas as in the authors' code"

    class Params(ffprobe.Params):
        """How the terms are weighed, and what similarities are taken of."""

        beta: float = Field(0.99, ge=0, le=1, description="weight of similarity matching")
        pred: float | None = Field(None, ge=0, description="weight of the code's likelihood; left out: 1 - beta")
        bits: int = Field(128, ge=1, description="length of the labels' random projection")
        inputs: int = Field(2048, ge=1, description="most numbers of a map that similarities are taken of")
        unsupervised: str = Field("none", pattern="^none$", description="nothing else here")

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module | None:
        """``projection``: P ``[bits, K]``, fixed; None where no similarity is asked for."""
        if self.params.beta == 0:
            return None
        kept: Any = nn.Module()
        kept.window = pooling(shape, self.params.inputs)
        kept.register_buffer("projection", random_projection(self.params.bits, classes))
        return kept

    def classification(self, goodness: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The mean of -log p(code of the true class) for each bit."""
        return -goodness.gather(1, labels[:, None]).mean()

    def similarities(self, context: ffprobe.LossContext) -> torch.Tensor:
        """S(pool h), ``[B, B]`` with its graph."""
        kept: Any = context.module
        return similarity_matrix(pool(context.activation.to(kept.projection.dtype), kept.window))

    def targets(self, labels: torch.Tensor, classes: int, context: ffprobe.LossContext) -> torch.Tensor:
        """S(P onehot y), ``[B, B]``."""
        kept: Any = context.module
        return similarity_matrix(kept.projection.T[labels])


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [PredSimBio]
