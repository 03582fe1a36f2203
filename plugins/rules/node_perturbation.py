"""Node perturbation: noise on the units of a layer, and the change of the local loss, replace the backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from ffprobe_plugins.rules.row_losses import row_losses
from pydantic import Field

import ffprobe


class NodePerturbation(ffprobe.Rule):
    """Estimates the gradient of each local loss from two forward passes: dW = -mean over the batch of (L(xi) - L(0)) /
    sigma^2 xi x^T.

    xi is drawn from N(0, sigma^2) for every unit of the preactivation (output of the convolution or linear map; at
    every position of a map) and every row of the batch, x is the input of the map in the pass without noise, and L is
    the loss of each row. Over the noise, the mean of dW is the negative gradient as sigma goes to 0; its variance grows
    with the number of units that carry noise. The estimate is handed to the run's optimizer as a gradient.

    The layers of an update group carry noise at once, and the loss is that of the last layer of the group: with
    ``greedy``, a unit competes only with the noise of its own layer; with ``whole``, this is node perturbation of the
    whole network. ``draws`` averages that many noises.

    Parameters of goodness and loss (a local head) learn by the gradient of their own loss, which passes no layer.
    Normalizers and a learned encoder stay as they are; batch statistics also see the passes with noise. All passes are
    in full precision, since half precision would round the noise away.

    Deviations: the papers perturb one example at a time and have no local losses; plain steps with a learning rate are
    ``--set training.optimizer=sgd``.
    """

    name = "node-perturbation"
    aliases = ("node_perturbation",)
    source = (
        "Werfel, Xie & Seung 2005, doi:10.1162/089976605774320539; "
        "Fiete & Seung 2006, doi:10.1103/PhysRevLett.97.048104"
    )

    class Params(ffprobe.Params):
        """The noise."""

        sigma: float = Field(
            0.01, gt=0, description="standard deviation of the noise, in the units of the preactivation, above 0"
        )
        draws: int = Field(1, ge=1, le=10000, description="number of noises per step, whose estimates are averaged")

    def build(self, setup: ffprobe.LearnerSetup) -> ffprobe.Learner:
        """Build a learner with one optimizer for each update group.

        Raises:
            UsageError: a layer is a module or has dropout, or the loss compares the images of a batch.
        """
        layers = [setup.network.layer(index) for index in range(setup.network.depth)]
        modules = [index + 1 for index, layer in enumerate(layers) if layer.spec.kind == "module"]
        if modules:
            raise ffprobe.UsageError(
                f"The rule {self.name!r} needs convolutions or linear maps; layer {modules[0]} is a module.",
                hint="Use --plugin tiny, or --plugin forward-forward.",
            )
        if any(layer.spec.dropout for layer in layers):
            raise ffprobe.UsageError(
                f"The rule {self.name!r} compares two passes, and dropout would differ between them.",
                hint="Use --set network.dropout=0.",
            )
        losses = [setup.loss, *(layer.spec.loss for layer in layers if layer.spec.loss is not None)]
        if not all(loss.averages for loss in losses):
            raise ffprobe.UsageError(
                f"The rule {self.name!r} needs the loss of each row, but this loss compares the images of a batch.",
                hint="Use --plugin fixed-threshold, or --plugin linear-head --plugin cross-entropy --plugin no-label.",
            )
        return NodePerturbationLearner(setup, self.params)


class NodePerturbationLearner(ffprobe.GroupLearner):
    """Trains each update group with estimated gradients.

    Args:
        setup: the network, the loss, and everything else that the rule needs.
        params: the settings of the rule.
    """

    def __init__(self, setup: ffprobe.LearnerSetup, params: Any) -> None:
        super().__init__(setup)
        self.params = params

    def train_group(self, state: Any, group: tuple[int, int]) -> ffprobe.Update:
        """Update one group; its estimates exist as gradients until ``finish_group``."""
        setup, network, (start, stop) = self.setup, self.network, group
        optimizer = self._optimizer(group)
        last = stop - 1
        with torch.no_grad():
            first = self._input(start, stop, (state.images, state.input_labels), state.inputs).detach()
            seen, activation = self._clean_pass(first, state.inputs, start, stop)
        own = partial(
            network.local_loss,
            last,
            labels=state.labels,
            loss=setup.loss,
            step=state.step,
            epoch=state.epoch,
            layer_input=state.inputs.get(last, first),
            images=state.images,
        )
        earlier = [value for _, value in sorted(state.goodness.items())]
        local = own(activation=activation, earlier=earlier)
        self._set_gradients(local.loss, list(network.layer(last).own_parameters()))
        estimates = self._estimates(first, seen, activation, state, start, earlier)
        for parameter, estimate in estimates.items():
            parameter.grad = estimate
        optimizer.step()
        state.goodness[last] = local.goodness
        return ffprobe.Update(range(start, stop), last, *local.means)

    def _clean_pass(
        self, x: torch.Tensor, inputs: dict[int, torch.Tensor], start: int, stop: int
    ) -> tuple[list[torch.Tensor], torch.Tensor]:
        # the input of each map, and the activation of the last layer
        seen = []
        for index in range(start, stop):
            layer = self.network.layer(index)
            seen.append(layer.normalize_input(x))
            activation = layer.after_map(layer.map(seen[-1]))
            x = self.network.pass_on(index, activation, inputs)
            inputs.setdefault(index + 1, x)
        return seen, activation

    def _estimates(
        self,
        first: torch.Tensor,
        seen: Sequence[torch.Tensor],
        activation: torch.Tensor,
        state: Any,
        start: int,
        earlier: Sequence[Any],
    ) -> dict[torch.Tensor, torch.Tensor]:
        """The estimated gradient of each map's parameters, averaged over the draws."""
        network, params = self.network, self.params
        at = start + len(seen) - 1
        losses = partial(row_losses, network, at, self.setup, state, earlier)
        maps = [network.layer(start + number) for number in range(len(seen))]
        weights = [[p for n, p in layer.named_parameters() if n.startswith(("conv.", "linear."))] for layer in maps]
        total: dict[torch.Tensor, torch.Tensor] = {}
        base = losses(activation)
        for _ in range(params.draws):
            noises, noisy = self._noisy_pass(first, state.inputs, start, len(seen))
            change = (losses(noisy) - base) / params.sigma**2  # [rows]
            for layer, x, noise, trained in zip(maps, seen, noises, weights, strict=True):
                # the map is linear, so this is the sum over rows and positions of xi x^T, not a backward pass
                with torch.enable_grad():
                    u = layer.map(x)
                rows = change.repeat(len(u) // len(change)).view(-1, *([1] * (u.dim() - 1)))
                scaled = (rows * noise / len(change)).to(u.dtype)
                wanted = [p for p in trained if p.requires_grad]
                for p, part in zip(wanted, torch.autograd.grad(u, wanted, scaled), strict=True):
                    total[p] = total.get(p, 0) + part / params.draws
        return total

    @torch.no_grad()
    def _noisy_pass(
        self, x: torch.Tensor, inputs: dict[int, torch.Tensor], start: int, count: int
    ) -> tuple[list[torch.Tensor], torch.Tensor]:
        noises, within = [], dict(inputs)
        for index in range(start, start + count):
            layer = self.network.layer(index)
            u = layer.map(layer.normalize_input(x))
            noises.append(self.params.sigma * torch.randn_like(u))
            activation = layer.after_map(u + noises[-1])
            x = within[index + 1] = self.network.pass_on(index, activation, within)
        return noises, activation

    def _set_gradients(self, loss: torch.Tensor, parameters: list[torch.Tensor]) -> None:
        # of goodness and loss parameters: the activation has no graph, so nothing else is reached
        wanted = [p for p in parameters if p.requires_grad]
        if not loss.requires_grad:
            return
        for parameter, gradient in zip(wanted, torch.autograd.grad(loss, wanted, allow_unused=True), strict=True):
            parameter.grad = gradient


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [NodePerturbation]
