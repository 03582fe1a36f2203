"""A local classifier's cross entropy and similarity matching, together."""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

import ffprobe


class PredSim(ffprobe.Loss):
    """pred * CE(goodness, y) + beta * mean over all pairs of the batch of (S(Q h) - S(onehot y))^2.

    Q is a learned map without bias of the activation h, onto as many features (a 3x3 convolution for maps). S is
    ``similarity_matrix``. ``beta=1,pred=0`` is `sim`; there, a ``local-classifier:detached=true`` with ``pred=1`` reads
    along without a say. ``pred=1,beta=0`` is `pred`, which ``cross-entropy`` says in a word.

    ``unsupervised=sim`` mixes in alpha * mean (S(Q h) - S(input))^2 and leaves 1 - alpha to the rest; the target
    carries no gradient. Their reconstruction term needs the layer's input shape and is with the peer only.

    Deviation: none known. Whether the standard deviation in S is biased, and the clamp to [-1, 1], make no difference:
    S does not depend on scale, and a cosine leaves that range by rounding only.
    """

    name = "predsim"
    form = "class"
    averages = False  # similarities are those of every pair of images in the batch
    source = "Nokland & Eidnes 2019, arXiv:1901.06656; S as in the authors' code"

    class Params(ffprobe.Params):
        """How the terms are weighed."""

        beta: float = Field(0.99, ge=0, le=1, description="weight of similarity matching")
        pred: float | None = Field(None, ge=0, description="weight of the cross entropy; left out: 1 - beta")
        unsupervised: Literal["none", "sim"] = Field("none", description="sim: match the similarities of the input too")
        alpha: float = Field(0.0, ge=0, le=1, description="weight of the unsupervised term; 1 - alpha of the others")

    @property
    def pred(self) -> float:
        """The weight of the cross entropy."""
        return 1 - self.params.beta if self.params.pred is None else self.params.pred

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module | None:
        """``map``: Q, unless no similarity is asked for."""
        if self.params.beta == 0 and self.params.unsupervised != "sim":
            return None
        kept = nn.Module()
        features = shape[0]
        kept.map = (
            nn.Conv2d(features, features, 3, padding=1, bias=False)
            if len(shape) == 3
            else nn.Linear(features, features, bias=False)
        )
        return kept

    def __call__(self, goodness: torch.Tensor, labels: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """A scalar from goodness ``[B, K]`` and labels ``[B]``, and from the activation and input in ``context``."""
        params = self.params
        loss = goodness.new_zeros(())
        own = self.similarities(context) if params.beta or params.unsupervised == "sim" else None
        if self.pred:
            loss = loss + self.pred * self.classification(goodness, labels)
        if params.beta and own is not None:
            loss = loss + params.beta * (own - self.targets(labels, goodness.shape[1], context)).square().mean()
        if params.unsupervised == "none":
            return loss
        return params.alpha * self.unsupervised(own, context) + (1 - params.alpha) * loss

    def classification(self, goodness: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The term that a local classifier learns from."""
        return functional.cross_entropy(goodness, labels)

    def similarities(self, context: ffprobe.LossContext) -> torch.Tensor:
        """S(Q h), ``[B, B]`` with its graph."""
        kept: Any = context.module
        return similarity_matrix(kept.map(context.activation.to(kept.map.weight.dtype)))

    def targets(self, labels: torch.Tensor, classes: int, context: ffprobe.LossContext) -> torch.Tensor:
        """S(onehot y), ``[B, B]``."""
        kept: Any = context.module
        return similarity_matrix(functional.one_hot(labels, classes).to(kept.map.weight.dtype))

    def unsupervised(self, own: torch.Tensor | None, context: ffprobe.LossContext) -> torch.Tensor:
        """The mean of (S(Q h) - S(input))^2; a linear layer's input is flat."""
        assert own is not None and context.input is not None
        given = context.input.flatten(1) if context.activation.dim() == 2 else context.input
        return (own - similarity_matrix(given.detach().to(own.dtype))).square().mean()


def similarity_matrix(x: torch.Tensor) -> torch.Tensor:
    """How alike the samples of a batch are: cosines of centred features, ``[B, B]`` in [-1, 1].

    Maps of more than 3 channels and more than one row are reduced to each channel's standard deviation over positions
    first, all else is flattened. Each sample's own mean is taken away, and what is left divided by 1e-8 + its length. A
    deviation or length of exactly 0 hands no gradient back.

    Args:
        x: ``[B, ...]``, floating point.
    """
    if x.dim() == 4 and x.shape[1] > 3 and x.shape[2] > 1:
        x = x.flatten(2).std(dim=2)  # torch's gradient is 0, not NaN, where the deviation is 0
    x = x.flatten(1)
    x = x - x.mean(dim=1, keepdim=True)
    x = x / (1e-8 + x.norm(dim=1, keepdim=True))
    return (x @ x.T).clamp(-1, 1)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [PredSim]
