"""Sums all local losses without detaching, so that each layer gets the gradients of all losses above it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

import ffprobe


class SummedLosses(ffprobe.Rule):
    """Sums the local losses of all layers and trains them with one forward pass, one backward pass and one optimizer
    step.

    The last layer of each of the scheduler's groups has a loss; with ``greedy``, every layer has one. This is not local
    learning: every loss reaches every layer below it. It is deep supervision, and the option of Nokland and Eidnes'
    code not to detach. With ``whole``, it is backpropagation.

    The update of each layer with a loss is reported after the one step that changes all layers; layers without a loss
    count towards the next layer with a loss above them. A detached shortcut stays detached.
    """

    name = "summed-losses"
    aliases = ("nodetach",)
    source = "option of the code of Nokland & Eidnes 2019, arXiv:1901.06656; deep supervision: Lee et al. 2015"
    shares_batches = True

    def build(self, setup: ffprobe.LearnerSetup) -> ffprobe.Learner:
        """Build a learner with one optimizer for all parameters that a loss reaches."""
        return SummedLearner(setup)


class SummedLearner(ffprobe.GroupLearner):
    """Computes all losses of a step in one backward pass."""

    def __init__(self, setup: ffprobe.LearnerSetup) -> None:
        super().__init__(replace(setup, groups=()))
        losses = {stop - 1 for _, stop in setup.groups}
        depth = max(losses, default=-1) + 1
        parameters = [p for i in range(depth) for p in self.network.layer(i).own_parameters(objective=i in losses)]
        parameters = [p for p in (*self.network.encoder.parameters(), *parameters) if p.requires_grad]
        self.optimizers[0, depth] = setup.optimizer(parameters)

    def step(self, images: torch.Tensor, labels: torch.Tensor, step: int, epoch: int) -> Iterator[ffprobe.Update]:
        """Learn from the sum of the losses of this step's groups."""
        setup, network = self.setup, self.network
        images, shown = self._batch(images, labels)
        ends = sorted({group.stop for group in setup.scheduler.groups(step, epoch, network.depth)})
        inputs: dict[int, torch.Tensor] = {}
        reported: list[tuple[range, int]] = []
        means: list[torch.Tensor] = []
        earlier: list[Any] = []
        total: torch.Tensor | None = None
        start = 0
        with setup.autocast():
            inputs[0] = network.encode(images, shown)
        for index in range(max(ends, default=0)):
            with setup.autocast():
                activation = network.layer(index)(inputs[index])
                inputs[index + 1] = network.pass_on(index, activation, inputs)
            if index + 1 not in ends:
                continue
            local = network.local_loss(
                index,
                activation,
                labels,
                setup.loss,
                step=step,
                epoch=epoch,
                earlier=earlier,
                layer_input=inputs[index],
                images=images,
                autocast=setup.autocast,
            )
            total = local.loss if total is None else total + local.loss
            earlier.append(local.goodness)
            means += local.means
            reported.append((range(start, index + 1), index))
            start = index + 1
        if total is None:
            return
        optimizers = list(self.optimizers.values())
        reached = [p for optimizer in optimizers for part in optimizer.param_groups for p in part["params"]]
        averages = setup.process_group.backward(total, reached, means)
        for optimizer in optimizers:
            optimizer.step()
        each = len(averages) // len(reported)
        for number, (layers, index) in enumerate(reported):
            yield ffprobe.Update(layers, index, *averages[each * number : each * (number + 1)])
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        self._update_idle_normalizer({index: x.detach() for index, x in inputs.items()})


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [SummedLosses]
