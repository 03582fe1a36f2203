"""The cross entropy of a local classifier plus similarity matching."""

from __future__ import annotations

from typing import Any, Literal

import torch
from ffprobe_plugins.goodness.positions import same_size_map
from pydantic import Field
from torch import nn
from torch.nn import functional

import ffprobe


class PredSim(ffprobe.Loss):
    """Combines a local classifier's cross entropy and similarity matching: pred * CE(goodness, y) + beta * mean over
    all pairs of the batch of (S(Q h) - S(onehot y))^2.

    Q is a learned map of the activation h, without bias, to the same number of features (a 3x3 convolution for feature
    maps, one over three time steps for signals). S is ``similarity_matrix``. ``beta=1,pred=0`` is `sim`; with it,
    ``local-classifier:detached=true`` and ``pred=1`` add a classifier that does not affect the layer. ``pred=1,beta=0``
    is `pred`, for which ``cross-entropy`` is shorter.

    ``unsupervised=sim`` adds alpha * mean (S(Q h) - S(input))^2 and weights the other terms with 1 - alpha; the target
    carries no gradient. The authors' reconstruction term needs the shape of the layer's input; only the peer has it.

    Deviation: none known. Whether the standard deviation in S is biased, and the clamp to [-1, 1], make no difference:
    S does not depend on scale, and a cosine leaves that range only through rounding.
    """

    name = "predsim"
    form = "class"
    averages = False  # similarities involve every pair of images of the batch
    source = "Nokland & Eidnes 2019, arXiv:1901.06656; S as in the authors' code"

    class Params(ffprobe.Params):
        """The weights of the terms."""

        beta: float = Field(
            0.99, ge=0, le=1, description="weight of similarity matching, in [0, 1]; 0.99 as in the paper"
        )
        pred: float | None = Field(
            None, ge=0, description="weight of the cross entropy, at least 0; empty uses 1 - beta"
        )
        unsupervised: Literal["none", "sim"] = Field(
            "none", description="unsupervised term: none, or sim (match the similarities of the layer's input)"
        )
        alpha: float = Field(
            0.0,
            ge=0,
            le=1,
            description="weight of the unsupervised term, in [0, 1]; the other terms have the weight 1 - alpha",
        )

    @property
    def pred(self) -> float:
        """The weight of the cross entropy."""
        return 1 - self.params.beta if self.params.pred is None else self.params.pred

    def build(self, shape: ffprobe.Shape, classes: int) -> nn.Module | None:
        """Build Q as ``map``; None if no term uses similarities."""
        if self.params.beta == 0 and self.params.unsupervised != "sim":
            return None
        module = nn.Module()
        module.map = same_size_map(shape, 3, bias=False)
        return module

    def __call__(self, goodness: torch.Tensor, labels: torch.Tensor, context: ffprobe.LossContext) -> torch.Tensor:
        """Return the scalar loss of goodness ``[B, K]``, labels ``[B]``, and activation and input in ``context``."""
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
        """The loss of the local classifier."""
        return functional.cross_entropy(goodness, labels)

    def similarities(self, context: ffprobe.LossContext) -> torch.Tensor:
        """S(Q h), ``[B, B]``, with its graph."""
        module: Any = context.module
        return similarity_matrix(module.map(context.activation.to(module.map.weight.dtype)))

    def targets(self, labels: torch.Tensor, classes: int, context: ffprobe.LossContext) -> torch.Tensor:
        """S(onehot y), ``[B, B]``."""
        module: Any = context.module
        return similarity_matrix(functional.one_hot(labels, classes).to(module.map.weight.dtype))

    def unsupervised(self, own: torch.Tensor | None, context: ffprobe.LossContext) -> torch.Tensor:
        """The mean of (S(Q h) - S(input))^2; the input of a linear layer is flattened."""
        assert own is not None and context.input is not None
        layer_input = context.input.flatten(1) if context.activation.dim() == 2 else context.input
        return (own - similarity_matrix(layer_input.detach().to(own.dtype))).square().mean()


def similarity_matrix(x: torch.Tensor) -> torch.Tensor:
    """The similarity of the samples of a batch: cosines of centred features, ``[B, B]``, in [-1, 1].

    Feature maps with more than 3 channels and more than one row, and signals with as many and more than one time step,
    are first reduced to the standard deviation of each channel over positions; everything else is flattened. The mean
    of each sample is subtracted, and the result divided by 1e-8 + its length. A standard deviation or length of exactly
    0 passes no gradient back.

    Args:
        x: ``[B, ...]``, floating point.
    """
    if x.dim() in (3, 4) and x.shape[1] > 3 and x.shape[2] > 1:
        x = x.flatten(2).std(dim=2)  # where the deviation is 0, torch's gradient is 0, not NaN
    x = x.flatten(1)
    x = x - x.mean(dim=1, keepdim=True)
    x = x / (1e-8 + x.norm(dim=1, keepdim=True))
    return (x @ x.T).clamp(-1, 1)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [PredSim]
