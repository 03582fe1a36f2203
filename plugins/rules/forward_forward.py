"""Forward-Forward: every update group learns from its own loss on positives and negatives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

import ffprobe


class ForwardForward(ffprobe.Rule):
    """Local learning in update groups, two forward passes stacked into one batch.

    Positives and negatives go through together as ``2B`` rows, so that batch normalization sees both, as in the
    authors' code. A group starts from detached input; its loss sits on its last layer; its own optimizer covers the
    group's parameters; its graph is freed before the next group begins. What the next layer gets is the output from
    before the update.

    A learned encoder belongs to the shortest group that starts at layer 0, as in the authors' code, where only the
    first layer's own loss trains the label embedding.
    """

    name = "forward-forward"
    source = "Hinton 2022, arXiv:2212.13345; groups: Trifecta, arXiv:2311.18130, App. F"

    def build(self, bench: ffprobe.Bench) -> ffprobe.Learner:
        """A learner with one optimizer for each update group."""
        return GroupLearner(bench)


class GroupLearner(ffprobe.Learner):
    """One optimizer for each update group, so that a layer in two groups has two sets of moments."""

    def __init__(self, bench: ffprobe.Bench) -> None:
        self.bench = bench
        self.stack = bench.network
        self.encoder_group = next((g for g in bench.groups if g[0] == 0), None)
        self.rate: float | None = None
        self.optimizers: dict[tuple[int, int], torch.optim.Optimizer] = {}
        for group in bench.groups:
            self._optimizer(group)

    def step(self, images: torch.Tensor, labels: torch.Tensor, step: int, epoch: int) -> Iterator[ffprobe.Update]:
        """Update every group of this step in order of depth."""
        bench, stack = self.bench, self.stack
        images, given = self._batch(images, labels)
        groups = ffprobe.groups_of_step(bench.scheduler, step, epoch, stack.depth)
        # inputs[i]: what layer i gets, detached, from before this step's updates
        inputs: dict[int, torch.Tensor] = {}
        goodness: dict[int, Any] = {}
        for start, stop in groups:
            optimizer = self._optimizer((start, stop))
            with bench.autocast():
                x = self._input(start, stop, (images, given), inputs)
                for index in range(start, stop):
                    layer = stack.layer(index)
                    activation = layer(x)
                    x = layer.pass_on(activation)
                    inputs.setdefault(index + 1, x.detach())
                first, second = self._goodness(stop - 1, activation, labels)
            context = ffprobe.LossContext(
                stop - 1, stack.depth, step, epoch, activation, labels, tuple(v for _, v in sorted(goodness.items()))
            )
            loss = bench.loss(first, second, context)
            loss.backward()
            optimizer.step()
            pair = stack.form == "pair"
            goodness[stop - 1] = (first.detach(), second.detach()) if pair else first.detach()
            yield ffprobe.Update(
                range(start, stop),
                stop - 1,
                loss.detach(),
                first.detach().mean() if pair else None,
                second.detach().mean() if pair else None,
            )
            optimizer.zero_grad(set_to_none=True)
        self._show_idle(groups, inputs)

    def set_learning_rate(self, rate: float) -> None:
        """Use this rate in every group."""
        self.rate = rate
        for optimizer in self.optimizers.values():
            for part in optimizer.param_groups:
                part["lr"] = rate

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
        if self.stack.form == "class":
            return images, None
        bench = self.bench
        goodness = None
        if bench.negatives.needs_goodness:
            goodness = ffprobe.last_layer_goodness(self.stack, images, bench.classes, bench.autocast)
        wrong = bench.negatives(images, labels, bench.classes, bench.generator, goodness)
        return torch.cat([images, images]), torch.cat([labels, wrong])  # [2B, C, H, W], [2B]

    def _input(
        self,
        start: int,
        stop: int,
        batch: tuple[torch.Tensor, torch.Tensor | None],
        inputs: dict[int, torch.Tensor],
    ) -> torch.Tensor:
        if start == 0:
            x = self.stack.encode(*batch)
            return x if (start, stop) == self.encoder_group else x.detach()
        if start not in inputs:  # layers in between are idle in this step
            with torch.no_grad():
                below = max((i for i in inputs if i < start), default=0)
                x = inputs[below] if below else self.stack.encode(*batch)
                for index in range(below, start):
                    layer = self.stack.layer(index)
                    x = layer.pass_on(layer(x))
                    inputs.setdefault(index + 1, x)
        return inputs[start]

    def _show_idle(self, groups: list[tuple[int, int]], inputs: dict[int, torch.Tensor]) -> None:
        # a layer that is idle in this step (the last one on odd turns of olu) still lets its normalizer see the batch,
        # so that running statistics are those of every step, as in the authors' code; its convolution is not run
        busy = {index for a, b in groups for index in range(a, b)}
        with torch.no_grad(), self.bench.autocast():
            for index, x in inputs.items():
                if index < self.stack.depth and index not in busy:
                    self.stack.layer(index).normalize_input(x)

    def _goodness(
        self, index: int, activation: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        # what a loss is called with: (positive, negative) for pairs, (goodness, labels) for class vectors
        goodness = self.stack.layer(index).goodness(activation)
        if self.stack.form == "class":
            return goodness, labels
        half = goodness.shape[0] // 2
        return goodness[:half], goodness[half:]

    def _optimizer(self, group: tuple[int, int]) -> torch.optim.Optimizer:
        if group not in self.optimizers:
            parts = [self.stack.layer(i) for i in range(*group)]
            if group == self.encoder_group:
                parts.append(self.stack.encoder)
            parameters = [p for part in parts for p in part.parameters() if p.requires_grad]
            self.optimizers[group] = self.bench.optimizer(parameters)
            if self.rate is not None:
                self.set_learning_rate(self.rate)
        return self.optimizers[group]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [ForwardForward]
