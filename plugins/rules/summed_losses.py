"""Local losses without detaching: the gradients of all of them add up in the layers below."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

import ffprobe


class SummedLosses(ffprobe.Rule):
    """One forward pass with its whole graph, one backward pass of the sum of all layers' losses, one optimizer step.

    A loss sits on the last layer of each group that the scheduler asks for: under ``greedy`` on every layer. This is
    no local learning: every loss reaches every layer below it. It is deep supervision, and Nokland and Eidnes' option
    to leave out the detaching. Under ``whole`` it is backpropagation.

    The update of each layer that has a loss is reported after the one step that changes all; layers without a loss
    count to the next one above. A detached shortcut stays detached.
    """

    name = "summed-losses"
    aliases = ("nodetach",)
    source = "option of the code of Nokland & Eidnes 2019, arXiv:1901.06656; deep supervision: Lee et al. 2015"
    shares_batches = True

    def build(self, setup: ffprobe.LearnerSetup) -> ffprobe.Learner:
        """A learner with one optimizer over everything that some loss reaches."""
        return SummedLearner(setup)


class SummedLearner(ffprobe.GroupLearner):
    """All losses of a step in one backward pass."""

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
        images, given = self._batch(images, labels)
        ends = sorted({group.stop for group in setup.scheduler.groups(step, epoch, network.depth)})
        inputs: dict[int, torch.Tensor] = {}
        reported: list[tuple[range, int]] = []
        means: list[torch.Tensor] = []
        earlier, total, start = [], None, 0
        with setup.autocast():
            inputs[0] = network.encode(images, given)
        for index in range(max(ends, default=0)):
            with setup.autocast():
                activation = network.layer(index)(inputs[index])
                inputs[index + 1] = network.pass_on(index, activation, inputs)
            if index + 1 not in ends:
                continue
            with setup.autocast():
                first, second = self._goodness(index, activation, labels)
            loss = self._loss(index, first, second, activation, labels, tuple(earlier), inputs[index], step, epoch)
            total = loss if total is None else total + loss
            pair = network.form == "pair"
            earlier.append((first.detach(), second.detach()) if pair else first.detach())
            means += [loss.detach(), *((first.detach().mean(), second.detach().mean()) if pair else ())]
            reported.append((range(start, index + 1), index))
            start = index + 1
        if total is None:
            return
        optimizers = list(self.optimizers.values())
        reached = [p for optimizer in optimizers for part in optimizer.param_groups for p in part["params"]]
        told = setup.process_group.backward(total, reached, means)
        for optimizer in optimizers:
            optimizer.step()
        each = len(told) // len(reported)
        for place, (layers, index) in enumerate(reported):
            yield ffprobe.Update(layers, index, *told[each * place : each * (place + 1)])
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        self._show_idle({index: x.detach() for index, x in inputs.items()})

    def _loss(
        self,
        index: int,
        first: Any,
        second: Any,
        activation: Any,
        labels: Any,
        earlier: Any,
        x: Any,
        step: int,
        epoch: int,
    ) -> torch.Tensor:
        layer = self.network.layer(index)
        kept = getattr(layer, "loss", None)
        context = ffprobe.LossContext(
            index, self.network.depth, step, epoch, activation, labels, earlier, x.detach(), kept
        )
        return (layer.spec.loss or self.setup.loss)(first, second, context)


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [SummedLosses]
