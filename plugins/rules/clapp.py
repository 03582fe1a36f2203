"""CLAPP: every layer learns to predict its own encoding of the patches below, without labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

import ffprobe


class Clapp(ffprobe.Rule):
    """Lets each layer predict its encoding of the patches k + 1 rows below from that of a patch, for k = 1, 2 ...

    With z the mean of the activation over each patch and c the same of the predicting patch, the score is
    u = c' W_k z. The loss is the mean over patches and images of max(0, 1 - u) for positives, where both patches are of
    one image, and of max(0, 1 + u) for negatives, where z is of another image of the batch, at the same place; an image
    is drawn as its own negative now and then. The mean over k is minimized by each layer alone.

    ``either``: in each step, an image is drawn to be a positive or a negative, and not both. ``asymmetric``: there are
    two matrices for each k, and the error reaches z through one of them and c through the other, so that no synapse
    needs the weight of another; without it, one matrix teaches both (CLAPP-s).

    The matrices are part of the network, under names with ``feedback``.

    Deviations: gradients of a mean over the batch by the run's optimizer, as in the authors' code, not the update for
    each image of the paper's text.
    """

    name = "clapp"
    source = "Illing et al. 2021, arXiv:2010.08262; EPFL-LCN/pub-illing2021-neurips"

    class Params(ffprobe.Params):
        """Which of the two updates an image makes, and through which weights."""

        steps: int = Field(5, ge=1, description="maximum number of rows that are predicted, from the second below")
        either: bool = Field(True, description="each image is a positive or a negative in a step, not both")
        asymmetric: bool = Field(
            True, description="separate matrices for the error of the predicted and the predicting"
        )

    def build(self, setup: ffprobe.LearnerSetup) -> ffprobe.Learner:
        """Add the prediction matrices to the network unless it has them, and build an optimizer for each layer.

        Raises:
            UsageError: the layers do not encode patches, are too few rows of them, or are not trained alone.
        """
        layers = [setup.network.layer(i) for i in range(setup.network.depth)]
        grids = [getattr(getattr(layer, "module", None), "grid", (0, 0)) for layer in layers]
        if any(rows < 3 for rows, _ in grids):
            raise ffprobe.UsageError(
                f"The rule {self.name!r} needs layers that encode three rows of patches or more.",
                hint="Use --plugin patch-vgg --plugin greedy.",
            )
        if any(stop - start > 1 for start, stop in setup.groups):
            raise ffprobe.UsageError(f"The rule {self.name!r} trains every layer alone.", hint="Use --plugin greedy.")
        for layer, (rows, _) in zip(layers, grids, strict=True):
            if not hasattr(layer, "feedback"):
                layer.feedback = _predictions(layer.output_shape[0], min(self.params.steps, rows - 2)).to(layer.weight)
        return ClappLearner(setup, self.params)


class ClappLearner(ffprobe.GroupLearner):
    """Trains each layer by its hinge losses.

    Args:
        setup: the network, the scheduler, and everything else that the rule needs.
        params: the settings of the rule.
    """

    def __init__(self, setup: ffprobe.LearnerSetup, params: Any) -> None:
        super().__init__(setup)
        self.params = params

    def step(self, images: torch.Tensor, labels: torch.Tensor, step: int, epoch: int) -> Iterator[ffprobe.Update]:
        """Learn from one batch; labels are not used."""
        network = self.network
        learning = {a for a, _ in ffprobe.groups_of_step(self.setup.scheduler, step, epoch, network.depth)}
        x = network.encode(images, None).detach()
        for index in range(max(learning, default=-1) + 1):
            with self.setup.autocast():
                activation = network.layer(index)(x)
                x = network.layer(index).pass_on(activation).detach()
            if index in learning:
                loss = self.loss(index, activation.float() if activation.dtype == torch.bfloat16 else activation)
                loss.backward()
                optimizer = self.optimizers[index, index + 1]
                optimizer.step()
                yield ffprobe.Update(range(index, index + 1), index, loss.detach())
                optimizer.zero_grad(set_to_none=True)

    def loss(self, index: int, activation: torch.Tensor) -> torch.Tensor:
        """The loss of one layer from its activation ``[B, C, rows * side, columns * side]``."""
        layer = self.network.layer(index)
        z = functional.adaptive_avg_pool2d(activation, layer.module.grid)
        if not self.params.asymmetric:
            return self.hinge(z, z, layer.feedback[0])
        return self.hinge(z, z.detach(), layer.feedback[0]) + self.hinge(z.detach(), z, layer.feedback[1])

    def hinge(self, z: torch.Tensor, c: torch.Tensor, predictions: Any) -> torch.Tensor:
        """The hinge loss of predicting z from c, both ``[B, C, rows, columns]``, mean over prediction steps."""
        count, generator, total = len(z), self.setup.generator, z.new_zeros(())
        positive, negative = torch.ones(2, count, dtype=torch.bool)
        if self.params.either:
            positive = torch.randint(2, (count,), generator=generator) == 1
            negative = ~positive
        for k, matrix in enumerate(predictions, 1):
            predicted, context = matrix(z[:, :, k + 1 :]), c[:, :, : -(k + 1)]
            other = torch.randint(count, (count,), generator=generator).to(z.device)
            own = (1 - (predicted * context).sum(dim=1)).relu().mean(dim=(1, 2))
            foreign = (1 + (predicted[other] * context).sum(dim=1)).relu().mean(dim=(1, 2))
            for losses, chosen in ((own, positive), (foreign, negative)):
                if chosen.any():
                    total = total + losses[chosen.to(z.device)].mean()
        return total / len(predictions)


def _predictions(channels: int, steps: int) -> nn.ModuleList:
    """Two sets of matrices, one matrix for each number of rows; the second set is for the error of the predicting."""
    sets = [[nn.Conv2d(channels, channels, 1, bias=False) for _ in range(steps)] for _ in range(2)]
    return nn.ModuleList(nn.ModuleList(matrices) for matrices in sets)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Clapp]
