"""Learning in update groups, each from a loss of its own."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator
from typing import Any

import torch

from ffprobe.components.loss import LossContext
from ffprobe.components.rule import Learner, LearnerSetup, Update
from ffprobe.inference.evaluate import last_layer_goodness
from ffprobe.training.groups import groups_of_step


class GroupLearner(Learner):
    """Learns in the groups that the run's scheduler asks for; what most rules are made of, and may be derived from.

    A group starts from detached input; its loss sits on its last layer and reaches no further down than the group. Each
    group has an optimizer, so that a layer in two groups has two sets of moments; it covers the group's layers, but
    goodness and loss (a local head) only of the last. A group's graph is freed before the next group begins. What the
    next layer gets is the output from before the update; a layer that two groups of one step share runs again with its
    new weights.

    One group of all layers is backpropagation with the loss on the last layer.

    Args:
        bench: network, loss and everything else chosen to teach it.
    """

    def __init__(self, setup: LearnerSetup) -> None:
        self.setup = setup
        self.network = setup.network
        self.encoder_group = next((g for g in setup.groups if g[0] == 0), None)
        self.rate: float | None = None
        self.optimizers: dict[tuple[int, int], torch.optim.Optimizer] = {}
        for group in setup.groups:
            self._optimizer(group)

    def step(self, images: torch.Tensor, labels: torch.Tensor, step: int, epoch: int) -> Iterator[Update]:
        """Update every group of this step in order of depth."""
        setup, network = self.setup, self.network
        images, given = self._batch(images, labels)
        groups = groups_of_step(setup.scheduler, step, epoch, network.depth)
        # inputs[i]: what layer i gets, detached, from before this step's updates
        inputs: dict[int, torch.Tensor] = {}
        goodness: dict[int, Any] = {}
        for done, (start, stop) in enumerate(groups, 1):
            optimizer = self._optimizer((start, stop))
            pair = network.form == "pair"
            with setup.autocast():
                x = self._input(start, stop, (images, given), inputs)
                within: dict[int, torch.Tensor] = {}  # the same inside this group, with its graph
                for index in range(start, stop):
                    given_to_last = x
                    activation = network.layer(index)(x)
                    x = network.pass_on(index, activation, ChainMap(within, inputs))
                    within[index + 1] = x
                    inputs.setdefault(index + 1, x.detach())
                first, second = self._goodness(stop - 1, activation, labels)
            last = network.layer(stop - 1)
            context = LossContext(
                stop - 1,
                network.depth,
                step,
                epoch,
                activation,
                labels,
                tuple(v for _, v in sorted(goodness.items())),
                given_to_last.detach(),
                getattr(last, "loss", None),
            )
            loss = (last.spec.loss or setup.loss)(first, second, context)
            means = [loss.detach(), *((first.detach().mean(), second.detach().mean()) if pair else ())]
            reached = [parameter for part in optimizer.param_groups for parameter in part["params"]]
            told, *sides = setup.process_group.backward(loss, reached, means)
            optimizer.step()
            goodness[stop - 1] = (first.detach(), second.detach()) if pair else first.detach()
            yield Update(
                range(start, stop),
                stop - 1,
                told,
                *sides,
            )
            optimizer.zero_grad(set_to_none=True)
            self._forget(inputs, {start for start, _ in groups[done:]})
        self._show_idle(inputs)

    def set_learning_rate(self, rate: float) -> None:
        """Use this rate in every group; times ``factor`` where an optimizer's parameter group has one."""
        self.rate = rate
        for optimizer in self.optimizers.values():
            for part in optimizer.param_groups:
                part["lr"] = rate * part.get("factor", 1.0)

    def state_dict(self) -> dict[str, Any]:
        """The optimizers' states by group, ``"0-2"`` for layers 0 and 1."""
        return {f"{a}-{b}": optimizer.state_dict() for (a, b), optimizer in self.optimizers.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict()``'s answer."""
        for key, value in state.items():
            a, b = (int(part) for part in key.split("-"))
            self._optimizer((a, b)).load_state_dict(value)

    def _batch(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        # class vectors score every label at once, so the input must favour none
        if self.network.form == "class":
            return images, None
        setup = self.setup
        goodness = None
        if setup.negatives.needs_goodness:
            goodness = last_layer_goodness(self.network, images, setup.autocast)
        wrong = setup.negatives(images, labels, setup.classes, setup.generator, goodness)
        if setup.negatives.gives == "images":
            return torch.cat([images, wrong]), None
        return torch.cat([images, images]), torch.cat([labels, wrong])  # [2B, C, H, W], [2B]

    def _input(
        self,
        start: int,
        stop: int,
        batch: tuple[torch.Tensor, torch.Tensor | None],
        inputs: dict[int, torch.Tensor],
    ) -> torch.Tensor:
        if start == 0:
            x = self.network.encode(*batch)
            return x if (start, stop) == self.encoder_group else x.detach()
        if start not in inputs:  # layers in between are idle in this step
            with torch.no_grad():
                below = max((i for i in inputs if i < start), default=0)
                x = inputs[below] if below else self.network.encode(*batch)
                for index in range(below, start):
                    x = self.network.pass_on(index, self.network.layer(index)(x), inputs)
                    inputs.setdefault(index + 1, x)
        return inputs[start]

    def _forget(self, inputs: dict[int, torch.Tensor], starts: set[int]) -> None:
        # what no later group starts from and no shortcut joins goes at once, or memory would grow with depth
        deepest = max(inputs)
        lowest = min(starts | {deepest})
        shortcuts = (self.network.layer(i).spec.shortcut for i in range(lowest, self.network.depth))
        needed = {deepest} | starts | {one.source + 1 for one in shortcuts if one}
        for index in set(inputs) - needed:
            del inputs[index]

    def _show_idle(self, inputs: dict[int, torch.Tensor]) -> None:
        # the layer after the last group (the last one on odd turns of olu) still lets its normalizer see the batch, so
        # that running statistics are those of every step, as in the authors' code; its convolution is not run. Idle
        # layers between two groups have run, since the later group starts from what they pass on
        index = max(inputs, default=self.network.depth)  # nothing where no layer learns in this step
        if index == self.network.depth:
            return
        layer, x = self.network.layer(index), inputs[index]
        with torch.no_grad(), self.setup.autocast():
            if layer.position == "input":
                layer.normalize_input(x)
            elif any(True for _ in layer.normalizer.buffers()):
                layer.pass_on(layer(x))  # its normalizer stands behind the convolution

    def _goodness(
        self, index: int, activation: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        # what a loss is called with: (positive, negative) for pairs, (goodness, labels) for class vectors
        goodness = self.network.layer(index).goodness(activation)
        if self.network.form == "class":
            return goodness, labels
        half = goodness.shape[0] // 2
        return goodness[:half], goodness[half:]

    def _optimizer(self, group: tuple[int, int]) -> torch.optim.Optimizer:
        if group not in self.optimizers:
            reached = range(*group)
            parameters = [p for i in reached for p in self.network.layer(i).own_parameters(objective=i == reached[-1])]
            if group == self.encoder_group:
                parameters += self.network.encoder.parameters()
            parameters = [p for p in parameters if p.requires_grad]
            self.optimizers[group] = self.setup.optimizer(parameters)
            if self.rate is not None:
                self.set_learning_rate(self.rate)
        return self.optimizers[group]
