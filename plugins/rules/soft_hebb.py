"""SoftHebb: soft winner-take-all Hebbian learning, without labels, losses or gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional
from torch.nn import grad as gradients

import ffprobe

Positive = Annotated[float, Field(gt=0)]


class SoftHebb(ffprobe.Rule):
    """Lets each layer learn from what it sees alone: w_o <- w_o + eta_o D_o for every channel o, where u = w x.

    s = softmax(t u) over the channels of each position; y = s for the channel with the largest u and -s for all others
    (``softkrotov``); D = sum over images and positions of y x - (sum of y u) w, divided by the largest |D| of the layer
    (of the group, in a grouped convolution); eta_o = learning_rate rate | |w_o| - 1 |^power, so that channels stop
    changing as their weights reach length 1. There are no labels, no loss and no gradient.

    All layers of the scheduler's groups learn from one forward pass with their old weights: ``greedy`` trains all at
    once (as the authors' demo), ``sequential`` one after the other. Layers that do not learn in a step use their
    running statistics. A parameter that is not a weight of the map (a bias, a head) does not change.

    ``Update.loss`` is the mean of | |w_o| - 1 | before the update, which shows how far the layer is from its end; the
    rule has no objective whose gradient it follows. ``Update.changes`` contains D, for probes.

    Deviations: without ``adaptive``, rates stay or fall by ``decay`` in every update, but not below 0. Weights are
    drawn from N(0, (start / sqrt(inputs))^2), as in the authors' demo.
    """

    name = "soft-hebb"
    aliases = ("softhebb",)
    source = "Journe et al. 2023, arXiv:2209.11883; NeuromorphicComputing/SoftHebb"

    class Params(ffprobe.Params):
        """Competition and rates. Values for layers beyond the last one given equal the last one."""

        inverse_temperature: tuple[Positive, ...] = Field(
            (1.0, 0.65, 0.25), min_length=1, description="factor t on u in the softmax of each layer, above 0"
        )
        rates: tuple[Annotated[float, Field(ge=0)], ...] = Field(
            (0.08, 0.005, 0.01), min_length=1, description="rate of each layer; multiplied by training.learning_rate"
        )
        softness: Literal["soft", "softkrotov", "hard", "hardkrotov"] = Field(
            "softkrotov",
            description="competition: soft (y = s), softkrotov (-s for all but the winner), hard (1 for the winner, 0 "
            "for the others) or hardkrotov (as hard, and -delta for the channel of one rank)",
        )
        delta: float = Field(0.4, ge=0, description="anti-Hebbian response of hardkrotov, at least 0")
        rank: int = Field(2, ge=2, description="rank of the channel that hardkrotov pushes away; 2 is the second")
        adaptive: bool = Field(True, description="scale each channel's rate by its distance to length 1")
        power: float = Field(0.5, gt=0, description="exponent of that distance, above 0")
        decay: float = Field(0.0, ge=0, description="without adaptive, what a rate loses in every update of the layer")
        start: float = Field(
            25.0, ge=0, description="initial weights have the standard deviation start / sqrt(inputs); 0 keeps torch's"
        )

    def build(self, setup: ffprobe.LearnerSetup) -> ffprobe.Learner:
        """Draw the initial weights and build a learner without an optimizer.

        Raises:
            UsageError: a layer is neither a convolution nor a linear map.
        """
        network = setup.network
        for index in range(network.depth):
            layer = network.layer(index)
            if layer.spec.kind == "module":
                raise ffprobe.UsageError(
                    f"The rule {self.name!r} needs convolutions or linear maps; layer {index + 1} is a module.",
                    hint="Use --plugin softhebb, or --plugin forward-forward.",
                )
            if self.params.start:
                weight = layer.weight
                drawn = torch.randn(weight.shape) * (self.params.start / math.sqrt(weight[0].numel()))
                with torch.no_grad():
                    weight.copy_(drawn.to(weight))
        return self.learner(setup)

    def learner(self, setup: ffprobe.LearnerSetup) -> ffprobe.Learner:
        """The learner for this setup."""
        return SoftHebbLearner(setup, self.params)


class SoftHebbLearner(ffprobe.Learner):
    """Changes the weights of each layer by the rule's own formula.

    Args:
        setup: the network and the scheduler.
        params: the settings of the rule.
    """

    def __init__(self, setup: ffprobe.LearnerSetup, params: Any) -> None:
        self.setup, self.network, self.params = setup, setup.network, params
        self.rate = 1.0
        self.updates = [0] * self.network.depth

    @torch.no_grad()
    def changes(self, images: torch.Tensor, learning: set[int]) -> dict[int, torch.Tensor]:
        """D of each learning layer, from one forward pass with the present weights.

        Args:
            images: ``[B, C, H, W]``.
            learning: indices of the layers that learn; at least one.
        """
        network, found = self.network, {}
        inputs = {0: network.encode(images, None)}
        for index in range(max(learning) + 1):
            layer = network.layer(index)
            layer.train(index in learning)
            seen = layer.normalize_input(inputs[index])
            u = layer.map(seen)
            if index in learning:
                found[index] = self.change(index, seen, u)
            if index < max(learning):
                inputs[index + 1] = network.pass_on(index, layer.after_map(u), inputs)
        network.layers.train()
        return found

    def change(self, index: int, seen: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        """D of one layer: what its weights see in proportion to the response, minus their decay, over the maximum.

        Args:
            index: index of the layer, from 0.
            seen: input of its map, ``[B, C, H, W]``, ``[B, C, T]`` or ``[B, F]``.
            u: output of its map.
        """
        layer, weight = self.network.layer(index), self.network.layer(index).weight
        wide = weight.dtype
        seen, u = seen.to(wide), u.to(wide)
        y = self.response(index, u)
        if layer.spec.kind == "conv":
            conv = layer.conv
            to_weight = gradients.conv2d_weight if u.dim() == 4 else gradients.conv1d_weight
            grown = to_weight(_padded(conv, seen), weight.shape, y, conv.stride, 0, conv.dilation, conv.groups)
            positions = range(2, u.dim())
            shrunk = (y * u).sum(dim=(0, *positions))[(..., None, *(None for _ in positions))] * weight
        else:
            grown, shrunk = y.T @ seen, (y * u).sum(dim=0)[:, None] * weight
        groups = layer.spec.groups if layer.spec.kind == "conv" else 1
        change = (grown - shrunk).reshape(groups, -1)
        return (change / (change.abs().amax(dim=1, keepdim=True) + 1e-30)).view_as(weight)

    def response(self, index: int, u: torch.Tensor) -> torch.Tensor:
        """The responses y, of the shape of u: ``[B, C, H, W]``, ``[B, C, T]`` or ``[B, F]``."""
        layer, params = self.network.layer(index), self.params
        groups = layer.spec.groups if layer.spec.kind == "conv" else 1
        grouped = u.reshape(len(u), groups, u.shape[1] // groups, -1)  # [B, groups, channels, positions]
        order = grouped.topk(min(params.rank, grouped.shape[2]), dim=2).indices
        winner = torch.zeros_like(grouped).scatter_(2, order[:, :, :1], 1.0)
        soft = torch.softmax(at_layer(params.inverse_temperature, index) * grouped, dim=2)
        if params.softness == "soft":
            y = soft
        elif params.softness == "softkrotov":
            y = soft * (2 * winner - 1)
        else:
            y = winner
            if params.softness == "hardkrotov" and grouped.shape[2] >= params.rank:
                y = y.scatter(2, order[:, :, params.rank - 1 :], -params.delta)
        return y.reshape(u.shape)

    def rates(self, index: int) -> torch.Tensor:
        """The rate eta of each channel of a layer, ``[O]``, from its present weights."""
        weight, params = self.network.layer(index).weight.detach(), self.params
        rate = self.rate * at_layer(params.rates, index)
        if params.adaptive:
            return rate * (self.distances(weight) + 1e-10) ** params.power
        left = max(0.0, at_layer(params.rates, index) - params.decay * self.updates[index])
        return weight.new_full((len(weight),), self.rate * left)

    def distances(self, weight: torch.Tensor) -> torch.Tensor:
        """| |w_o| - 1 | of each channel, ``[O]``."""
        return (weight.flatten(1).norm(dim=1) - 1).abs()

    def step(self, images: torch.Tensor, labels: torch.Tensor, step: int, epoch: int) -> Iterator[ffprobe.Update]:
        """Change the weights of the layers of this step's groups; labels are not used."""
        groups = self.setup.scheduler.groups(step, epoch, self.network.depth)
        learning = {i for group in groups for i in range(*group.indices(self.network.depth))}
        learning = {i for i in learning if self.network.layer(i).weight.requires_grad}
        if not learning:
            return
        for index, change in self.changes(images, learning).items():
            weight = self.network.layer(index).weight
            distance = self.distances(weight.detach()).mean()
            shape = (-1, *(1 for _ in weight.shape[1:]))
            with torch.no_grad():
                weight += self.rates(index).view(shape) * change
            self.updates[index] += 1
            yield ffprobe.Update(range(index, index + 1), index, distance, changes={weight: change})

    def set_learning_rate(self, rate: float) -> None:
        """Set the factor on all rates."""
        self.rate = rate

    def state_dict(self) -> dict[str, Any]:
        """The number of updates of each layer."""
        return {"updates": list(self.updates)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that ``state_dict()`` returned."""
        self.updates = [int(number) for number in state["updates"]]


def at_layer(values: tuple[float, ...], index: int) -> float:
    """The value for the layer with this index; the last value also counts for the layers after it."""
    return values[min(index, len(values) - 1)]


def _padded(conv: nn.Conv1d | nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    sides = [int(side) for side in conv.padding]  # of every axis of positions
    if not any(sides):
        return x
    mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
    return functional.pad(x, [side for padded in reversed(sides) for side in (padded, padded)], mode)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [SoftHebb]
