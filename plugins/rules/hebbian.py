"""Oja's rule and its extensions to several units: Hebbian learning with a decay that keeps weights finite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from pydantic import Field

import ffprobe


class Hebbian(ffprobe.Rule):
    """Lets each layer find principal components of what it sees: W <- W + eta D.

    With y = W x the output of the map without its bias, and C = mean of y y^T:

    - ``oja``: D = mean of y x^T - diag(C) W: each unit by itself (Oja 1982); all find the first component;
    - ``subspace``: D = mean of y x^T - C W: together they find the subspace of the first components (Oja 1989);
    - ``sanger``: D = mean of y x^T - lower(C) W, with the lower triangle and the diagonal of C: unit i finds component
      i (Sanger 1989).

    Means are over the batch and the positions of a map or signal, where x is what the kernel sees there. D is divided
    by the mean of |x|^2, so that a step is stable for any size of the input as long as eta = rate * learning_rate is
    well below 1. There are no labels, no loss, no gradient and no optimizer: ``Update.changes`` contains D.

    ``Update.loss`` is the reconstruction error that the rule lowers, without its constant and for each unit: (tr(C W
    W^T) - 2 tr(C)) / units, which is mean |x - W^T y|^2 - mean |x|^2; for ``oja`` only the diagonals count, the error
    of each unit by itself.

    All layers of the scheduler's groups learn from one forward pass with their old weights. Parameters that are no
    weight of a map do not change. A linear readout on the activations, which the evaluator ``one-pass`` fits, measures
    what was learned.

    Deviations: batches instead of single examples, and the division by mean |x|^2.
    """

    name = "hebbian"
    aliases = ("oja",)
    source = (
        "Oja 1982, doi:10.1007/BF00275687; Oja 1989, doi:10.1142/S0129065789000475; "
        "Sanger 1989, doi:10.1016/0893-6080(89)90044-0"
    )

    class Params(ffprobe.Params):
        """The rule and its rate."""

        variant: Literal["oja", "subspace", "sanger"] = Field(
            "sanger", description="decay: oja (each unit by itself), subspace (all units together) or sanger (in order)"
        )
        rate: float = Field(
            10.0, ge=0, description="rate of the rule, at least 0; multiplied by training.learning_rate"
        )

    def build(self, setup: ffprobe.LearnerSetup) -> ffprobe.Learner:
        """Build a learner without an optimizer.

        Raises:
            UsageError: a layer is neither a convolution nor a linear map.
        """
        for index in range(setup.network.depth):
            if setup.network.layer(index).spec.kind == "module":
                raise ffprobe.UsageError(
                    f"The rule {self.name!r} needs convolutions or linear maps; layer {index + 1} is a module.",
                    hint="Use --plugin tiny, or --plugin forward-forward.",
                )
        return HebbianLearner(setup, self.params)


class HebbianLearner(ffprobe.Learner):
    """Changes the weights of each layer by the rule's own formula.

    Args:
        setup: the network and the scheduler.
        params: the settings of the rule.
    """

    def __init__(self, setup: ffprobe.LearnerSetup, params: Any) -> None:
        self.setup, self.network, self.params = setup, setup.network, params
        self.learning_rate = 1.0

    def step(self, images: torch.Tensor, labels: torch.Tensor, step: int, epoch: int) -> Iterator[ffprobe.Update]:
        """Change the weights of the layers of this step's groups; labels are not used."""
        network = self.network
        groups = self.setup.scheduler.groups(step, epoch, network.depth)
        learning = {i for group in groups for i in range(*group.indices(network.depth))}
        learning = {i for i in learning if network.layer(i).weight.requires_grad}
        for index, seen in self._inputs(images, learning).items():
            weight = network.layer(index).weight
            change, error = self.change(index, seen)
            with torch.no_grad():
                weight += self.learning_rate * self.params.rate * change
            yield ffprobe.Update(range(index, index + 1), index, error, changes={weight: change})

    @torch.no_grad()
    def _inputs(self, images: torch.Tensor, learning: set[int]) -> dict[int, torch.Tensor]:
        # the input of the map of each learning layer, from one pass with the old weights
        network, found = self.network, {}
        x = network.encode(images, None)
        inputs = {0: x}
        for index in range(max(learning, default=-1) + 1):
            layer = network.layer(index)
            seen = layer.normalize_input(inputs[index])
            if index in learning:
                found[index] = seen
            inputs[index + 1] = network.pass_on(index, layer.transform(seen), inputs)
        return found

    def change(self, index: int, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """D of one layer, and its reconstruction error.

        Args:
            index: index of the layer, from 0.
            seen: input of its map, ``[B, *shape]``.
        """
        layer = self.network.layer(index)
        weight, bias = layer.weight, getattr(layer, layer.spec.kind).bias
        seen = seen.to(weight.dtype)
        groups = layer.spec.groups if layer.spec.kind == "conv" else 1
        with torch.enable_grad():
            u = layer.map(seen)
            y = (u if bias is None else u - bias.view(-1, *([1] * (u.dim() - 2)))).detach()
            # the map is linear in its weight: this is the sum of y x^T over rows and positions, not a backward pass
            (grown,) = torch.autograd.grad(u, weight, y)
        count = y.numel() // y.shape[1]
        units = y.transpose(0, 1).reshape(groups, y.shape[1] // groups, count)  # [groups, units, samples]
        c = units @ units.mT / count
        w = weight.detach().reshape(groups, y.shape[1] // groups, -1)
        decay = {"oja": c.diagonal(dim1=1, dim2=2).diag_embed(), "subspace": c, "sanger": c.tril()}[self.params.variant]
        change = grown.reshape(w.shape) / count - decay @ w
        size = self._mean_square(layer, seen) + 1e-30
        products = w @ w.mT
        if self.params.variant == "oja":
            error = (decay * products).sum() - 2 * decay.sum()
        else:
            error = (c * products).sum() - 2 * c.diagonal(dim1=1, dim2=2).sum()
        return (change / size).view_as(weight), error / y.shape[1]

    @torch.no_grad()
    def _mean_square(self, layer: Any, seen: torch.Tensor) -> torch.Tensor:
        # the mean of |x|^2 over rows and positions, where x is what a unit sees: the map of squares with weights of one
        kind = getattr(layer, layer.spec.kind)
        ones = {
            name: torch.ones_like(p) if name == "weight" else torch.zeros_like(p) for name, p in kind.named_parameters()
        }
        return torch.func.functional_call(kind, ones, seen.square()).mean()

    def set_learning_rate(self, rate: float) -> None:
        """Set the factor on the rate."""
        self.learning_rate = rate

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the weights are all that the rule remembers."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to restore."""


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Hebbian]
