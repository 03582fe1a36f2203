"""Equilibrium propagation in a predictive-coding network: two nudged equilibria instead of a backward pass."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

import ffprobe

HINT = "Use --preset ep-pcn, or --plugin whole --plugin linear-head --plugin cross-entropy --plugin none."


class EquilibriumPropagation(ffprobe.Rule):
    """Nudges the output towards lower and towards higher loss, lets the layers settle, and compares the two states.

    With a_k the pre-activation of layer k (after its max pooling) for the state h of the layer before it, the energy is
    F = sum over k of |h_k|^2 / 2 - h_k a_k + |relu(a_k)|^2 / 2, and |y - a|^2 / 2 for the output y of the last layer's
    goodness, which is linear. The free equilibrium is the forward pass, where F = 0. The output is nudged with strength
    +-beta, y = a -+ beta dC/dy for the loss C of each image, and in every sweep each layer takes the state
    h_k = relu(a_k + J'(h_(k+1) - relu(a_(k+1)))), where J is the derivative of a_(k+1) with respect to h_k: first the
    layers with even numbers, then those with odd ones; the output is the last. The gradient of the loss is
    (dF/dW at +beta - dF/dW at -beta) / (2 beta), which for a small beta and enough sweeps is that of backpropagation.

    Read: nudges of +-0.02, five sweeps, even before odd, the update of h, initial weights uniform with gain 1. Assumed,
    because it was not to be read: the energy (the one whose equilibrium has this update), the output's update in each
    sweep, no normalizer, and torch's biases. No public code was found.

    Everything is computed in the precision of the weights, because half precision would lose the small differences.
    """

    name = "equilibrium-propagation"
    source = (
        "EP-PCN, arXiv:2606.03584; Scellier & Bengio 2017, arXiv:1602.05179; Laborieux et al. 2021, arXiv:2006.03824"
    )

    class Params(ffprobe.Params):
        """Nudging, settling and initial weights."""

        beta: float = Field(0.02, gt=0, le=1, description="strength of the nudge, in (0, 1]; used with both signs")
        sweeps: int = Field(5, ge=1, description="number of sweeps over all layers in the nudged phase, at least 1")
        start: Literal["kaiming", "torch"] = Field(
            "kaiming", description="initial weights: kaiming is uniform within sqrt(3 / inputs); torch keeps torch's"
        )

    def build(self, setup: ffprobe.LearnerSetup) -> ffprobe.Learner:
        """Draw the initial weights and build a learner for the whole network.

        Raises:
            UsageError: the network, its normalizer, its goodness or the scheduler is not one that the rule supports.
        """
        network = setup.network
        layers = [network.layer(i) for i in range(network.depth)]
        if setup.groups != ((0, network.depth),):
            raise _refusal("trains the whole network at once", HINT)
        if network.form != "class":
            raise _refusal("needs a goodness of every class", HINT)
        for layer in layers:
            plain = layer.spec.kind != "module" and layer.spec.activation == "relu" and layer.spec.shortcut is None
            if not plain or layer.spec.dropout or layer.spec.output_max_pool > 1:
                raise _refusal("needs plain layers with ReLU, without shortcut or dropout", "Use --plugin vgg5.")
            if not isinstance(layer.normalizer, nn.Identity):
                raise _refusal("needs a network without normalizers", HINT)
        if self.params.start == "kaiming":
            for weight in (layer.weight for layer in layers):
                bound = math.sqrt(3 / weight[0].numel())
                with torch.no_grad():  # drawn on the CPU, so that they are the same on every device
                    weight.copy_(torch.empty(weight.shape).uniform_(-bound, bound).to(weight))
        return EquilibriumLearner(setup, self.params.beta, self.params.sweeps)


class EquilibriumLearner(ffprobe.GroupLearner):
    """Settles the network twice, and gives its optimizer the difference of the energies' gradients.

    Args:
        setup: the network, the loss, and everything else that the rule needs.
        beta: strength of the nudge.
        sweeps: number of sweeps of the nudged phase.
    """

    def __init__(self, setup: ffprobe.LearnerSetup, beta: float, sweeps: int) -> None:
        super().__init__(setup)
        self.beta, self.sweeps = beta, sweeps

    def step(self, images: torch.Tensor, labels: torch.Tensor, step: int, epoch: int) -> Iterator[ffprobe.Update]:
        """Learn from one batch."""
        depth, optimizer = self.network.depth, self.optimizers[0, self.network.depth]
        x = self.network.encode(images, None).detach()
        with torch.no_grad():
            states = [x]
            for index in range(depth + 1):
                states.append(self.state(index, self.drive(index, states[-1])))
        loss, _ = self.cost(states, labels, step, epoch)
        settled = self.settle([torch.cat([state, state]) for state in states], labels, step, epoch)
        self.energy_difference(settled).backward()
        optimizer.step()
        yield ffprobe.Update(range(depth), depth - 1, loss)
        optimizer.zero_grad(set_to_none=True)

    def drive(self, index: int, below: torch.Tensor) -> torch.Tensor:
        """The pre-activation a of a layer, after its pooling, for the state below; of the output for ``depth``."""
        if index == self.network.depth:
            return self.network.layer(index - 1).goodness(below)
        layer = self.network.layer(index)
        a = layer.map(layer.normalize_input(below))
        return functional.max_pool2d(a, layer.spec.pool) if layer.spec.pool > 1 else a

    def state(self, index: int, a: torch.Tensor) -> torch.Tensor:
        """The state that a layer takes for this input: relu, and the input itself for the output."""
        return a if index == self.network.depth else a.relu()

    def cost(
        self, states: list[torch.Tensor], labels: torch.Tensor, step: int, epoch: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss, mean over images, and the gradient of each image's own loss with respect to the output."""
        output = states[-1].detach().requires_grad_()
        local = self.network.local_loss(
            self.network.depth - 1,
            states[-2],
            labels,
            self.setup.loss,
            goodness=output,
            layer_input=states[-3],
            step=step,
            epoch=epoch,
        )
        (gradient,) = torch.autograd.grad(local.loss, output)
        return local.loss.detach(), gradient * len(output)

    def settle(self, states: list[torch.Tensor], labels: torch.Tensor, step: int, epoch: int) -> list[torch.Tensor]:
        """The nudged states, starting from the free ones; the first half of the batch is nudged by +beta.

        Args:
            states: of the input, of every layer and of the output, each ``[2B, ...]``.
            labels: ``[B]``.
            step: number of the step, for the loss.
            epoch: of the step.
        """
        depth, both = self.network.depth, torch.cat([labels, labels])
        nudge = self.signs(states[-1]) * self.beta
        for _ in range(self.sweeps):
            for parity in (1, 0):  # indices from 0: the layers with even numbers come first
                for index in range(parity, depth + 1, 2):
                    states[index + 1] = self.settled(index, states, both, nudge, step, epoch)
        return states

    def settled(
        self, index: int, states: list[torch.Tensor], labels: torch.Tensor, nudge: torch.Tensor, step: int, epoch: int
    ) -> torch.Tensor:
        """The next state of one layer, from those of its neighbours."""
        with torch.no_grad():
            a = self.drive(index, states[index])
        if index == self.network.depth:
            _, gradient = self.cost(states, labels, step, epoch)
            return a - nudge * gradient
        with torch.enable_grad():
            below = states[index + 1].detach().requires_grad_()
            above = self.drive(index + 1, below)
            error = states[index + 2] - self.state(index + 1, above.detach())
            (top_down,) = torch.autograd.grad(above, below, error)
        return self.state(index, a + top_down)

    def energy_difference(self, states: list[torch.Tensor]) -> torch.Tensor:
        """A scalar whose gradient with respect to the weights is the estimate of the loss's gradient."""
        total = states[0].new_zeros(())
        for index in range(self.network.depth + 1):
            a = self.drive(index, states[index])
            change = (self.state(index, a) - states[index + 1]).detach()  # dF/da
            total = total + (self.signs(a) * change * a).sum()
        return total / (2 * self.beta * (len(states[0]) // 2))

    def signs(self, like: torch.Tensor) -> torch.Tensor:
        """1 for the first half of the batch, -1 for the second, ``[2B, 1, ...]``."""
        half = like.new_ones(len(like) // 2)
        return torch.cat([half, -half]).view(-1, *(1 for _ in like.shape[1:]))


def _refusal(what: str, hint: str) -> ffprobe.UsageError:
    return ffprobe.UsageError(f"The rule 'equilibrium-propagation' {what}.", hint=hint)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [EquilibriumPropagation]
