"""A learner for update groups, each with its own loss."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from ffprobe.components.rule import Learner, LearnerSetup, Update
from ffprobe.inference.evaluate import goodness_for_negatives
from ffprobe.training.groups import groups_of_step


@dataclass
class StepState:
    """What the update groups of one step pass on to the groups above them.

    Attributes:
        images: input of the encoder, ``[2B, C, H, W]`` in form ``pair``, positives first; ``[B, C, H, W]`` in form
            ``class``. None where no later group starts from it.
        input_labels: labels that the encoder shows, int64 ``[2B]``; None if the input has no label.
        labels: the true labels, int64 ``[B]``.
        step: number of optimizer steps completed before this one.
        epoch: index of the epoch, from 0.
        inputs: the detached input of layer i by i, computed before this step's updates.
        goodness: the detached goodness of layers that had a loss in this step, by layer.
    """

    images: torch.Tensor | None
    input_labels: torch.Tensor | None
    labels: torch.Tensor
    step: int
    epoch: int
    inputs: dict[int, torch.Tensor] = field(default_factory=dict)
    goodness: dict[int, Any] = field(default_factory=dict)


class GroupLearner(Learner):
    """Trains the update groups that the run's scheduler requests. Most rules use it, and a rule may subclass it.

    A group starts from a detached input; its loss is computed on its last layer, and gradients stay within the group.
    Each group has its own optimizer, so a layer in two groups has two sets of moments. The optimizer covers the layers
    of the group, but goodness and loss parameters (a local head) of the last layer only. The graph of a group is freed
    before the next group starts. The next layer receives the output from before the update. A layer that two groups of
    one step share is computed again with its new weights.

    One group of all layers is backpropagation with the loss on the last layer.

    Args:
        setup: the network, the loss, and everything else that the rule needs.
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
        """Update every group of this step, in order of depth; see ``Learner.step``."""
        state = self.begin(images, labels, step, epoch)
        groups = groups_of_step(self.setup.scheduler, step, epoch, self.network.depth)
        for done, group in enumerate(groups, 1):
            yield self.train_group(state, group)
            self.finish_group(state, group, {start for start, _ in groups[done:]})
        self.update_idle_normalizer(state)

    def begin(self, images: torch.Tensor, labels: torch.Tensor, step: int, epoch: int) -> StepState:
        """The state before the first group: the batch with its negatives."""
        images, input_labels = self._batch(images, labels)
        return StepState(images, input_labels, labels, step, epoch)

    def train_group(self, state: StepState, group: tuple[int, int]) -> Update:
        """Update one group; its gradients exist until ``finish_group``.

        Args:
            state: of this step, after the groups before; what this group passes on is added.
            group: the pair (a, b): layers a to b - 1.
        """
        setup, network, inputs = self.setup, self.network, state.inputs
        start, stop = group
        optimizer = self._optimizer(group)
        with setup.autocast():
            x = self._input(start, stop, (state.images, state.input_labels), inputs)
            within: dict[int, torch.Tensor] = {}  # as ``inputs`` for layers of this group, with their graph
            for index in range(start, stop):
                layer_input = x
                activation = network.layer(index)(x)
                x = network.pass_on(index, activation, ChainMap(within, inputs))
                within[index + 1] = x
                inputs.setdefault(index + 1, x.detach())
        local = network.local_loss(
            stop - 1,
            activation,
            state.labels,
            setup.loss,
            step=state.step,
            epoch=state.epoch,
            earlier=[value for _, value in sorted(state.goodness.items())],
            layer_input=layer_input,
            images=state.images,
            autocast=setup.autocast,
        )
        parameters = [parameter for part in optimizer.param_groups for parameter in part["params"]]
        loss, *goodness_means = setup.process_group.backward(local.loss, parameters, local.means)
        optimizer.step()
        state.goodness[stop - 1] = local.goodness
        return Update(range(start, stop), stop - 1, loss, *goodness_means)

    def finish_group(self, state: StepState, group: tuple[int, int], later: set[int]) -> None:
        """Clear the gradients of a group, and free what no later group of the step needs.

        Args:
            state: of this step, after ``train_group``.
            group: the pair (a, b).
            later: the first layers of the groups that follow in this step.
        """
        self._optimizer(group).zero_grad(set_to_none=True)
        self._free(state.inputs, later)

    def run_idle(self, state: StepState, stop: int) -> None:
        """Run the layers below ``stop`` that no group of this step has run, without learning."""
        with self.setup.autocast():
            self._input(stop, stop, (state.images, state.input_labels), state.inputs)

    def update_idle_normalizer(self, state: StepState) -> None:
        """Run the normalizer of the layer after the last group, so that its running statistics cover every step."""
        self._update_idle_normalizer(state.inputs)

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate of every group; a parameter group with a ``factor`` multiplies it by this factor."""
        self.rate = rate
        for optimizer in self.optimizers.values():
            for part in optimizer.param_groups:
                part["lr"] = rate * part.get("factor", 1.0)

    def state_dict(self) -> dict[str, Any]:
        """The optimizer states by group; the key ``"0-2"`` is the group of the layers with indices 0 and 1."""
        return {f"{a}-{b}": optimizer.state_dict() for (a, b), optimizer in self.optimizers.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that ``state_dict()`` returned."""
        for key, value in state.items():
            a, b = (int(part) for part in key.split("-"))
            self._optimizer((a, b)).load_state_dict(value)

    def _batch(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        # in form class the goodness scores every label at once, so the input must favour no label
        if self.network.form == "class":
            return images, None
        setup = self.setup
        goodness = goodness_for_negatives(setup.negatives, self.network, images, setup.autocast)
        wrong = setup.negatives(images, labels, setup.classes, setup.generator, goodness)
        if setup.negatives.gives == "images":
            return torch.cat([images, wrong]), None
        return torch.cat([images, images]), torch.cat([labels, wrong])  # [2B, C, H, W], [2B]

    def _input(
        self,
        start: int,
        stop: int,
        batch: tuple[torch.Tensor | None, torch.Tensor | None],
        inputs: dict[int, torch.Tensor],
    ) -> torch.Tensor:
        if start == 0:
            x = self.network.encode(*batch)
            return x if (start, stop) == self.encoder_group else x.detach()
        if start not in inputs:  # the layers between two groups are idle in this step
            with torch.no_grad():
                below = max((i for i in inputs if i < start), default=0)
                x = inputs[below] if below else self.network.encode(*batch)
                for index in range(below, start):
                    x = self.network.pass_on(index, self.network.layer(index)(x), inputs)
                    inputs.setdefault(index + 1, x)
        return inputs[start]

    def _free(self, inputs: dict[int, torch.Tensor], starts: set[int]) -> None:
        # free every input that no later group starts from and no shortcut joins, or memory would grow with depth
        deepest = max(inputs)
        lowest = min(starts | {deepest})
        shortcuts = (self.network.layer(i).spec.shortcut for i in range(lowest, self.network.depth))
        needed = {deepest} | starts | {shortcut.source + 1 for shortcut in shortcuts if shortcut}
        for index in set(inputs) - needed:
            del inputs[index]

    def _update_idle_normalizer(self, inputs: dict[int, torch.Tensor]) -> None:
        # the layer after the last group (the last layer, in odd steps of olu) still runs its normalizer on the batch,
        # so that its running statistics cover every step, as in the authors' code; its convolution is not computed.
        # Idle layers between two groups were already computed, since the later group starts from their output
        index = max(inputs, default=self.network.depth)  # no inputs if no layer learns in this step
        if index == self.network.depth:
            return
        layer, x = self.network.layer(index), inputs[index]
        with torch.no_grad(), self.setup.autocast():
            if layer.position == "input":
                layer.normalize_input(x)
            elif any(True for _ in layer.normalizer.buffers()):
                layer.pass_on(layer(x))  # its normalizer comes after the convolution

    def _optimizer(self, group: tuple[int, int]) -> torch.optim.Optimizer:
        if group not in self.optimizers:
            layers = range(*group)
            parameters = [p for i in layers for p in self.network.layer(i).own_parameters(objective=i == layers[-1])]
            if group == self.encoder_group:
                parameters += self.network.encoder.parameters()
            parameters = [p for p in parameters if p.requires_grad]
            self.optimizers[group] = self.setup.optimizer(parameters)
            if self.rate is not None:
                self.set_learning_rate(self.rate)
        return self.optimizers[group]
