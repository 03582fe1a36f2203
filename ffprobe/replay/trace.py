"""The trace of a replay: what every step computed, and the weights after it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import torch

from ffprobe.components.peer import Peer, ReplayPlan, Trajectory
from ffprobe.hookspecs import StepContext, hookimpl
from ffprobe.plugin.registry import Registry
from ffprobe.replay.replaying import experiment_of, no_failure, no_record
from ffprobe.training.observers import Observers
from ffprobe.training.trainer import Trainer


@dataclass
class TracedStep:
    """One step of a traced replay.

    Attributes:
        loss: loss of each layer before its update, float ``[L]``; NaN for layers without a loss.
        positive: mean goodness of the positives, float ``[L]``; NaN where there is none.
        negative: mean goodness of the negatives, float ``[L]``; NaN where there is none.
        state: parameters and buffers after the step, by the names of the run file.
    """

    loss: torch.Tensor
    positive: torch.Tensor
    negative: torch.Tensor
    state: dict[str, torch.Tensor]


@dataclass
class Trace:
    """A traced replay.

    Attributes:
        start: parameters and buffers before the first step.
        parameters: names of the parameters; the other names in a state are buffers.
        steps: all steps, in order.
        groups: the update groups of each step: (first layer, layer after the last), from 0.
    """

    start: dict[str, torch.Tensor]
    parameters: frozenset[str]
    steps: list[TracedStep] = field(default_factory=list)
    groups: list[list[tuple[int, int]]] = field(default_factory=list)


def trace(plan: ReplayPlan, trajectory: Trajectory, peer: Peer, registry: Registry) -> Trace:
    """Carry out a plan and keep what every step did.

    Args:
        plan: the plan of the replay.
        trajectory: the recorded trajectory.
        peer: the peer, which translates the recorded names.
        registry: registry of components.
    """
    experiment = experiment_of(plan, trajectory, peer, registry)
    network, scheduler = experiment.network, experiment.setup.scheduler
    names = frozenset(name.removeprefix("layers.") for name, _ in network.named_parameters())
    found = Trace(_copy(network.named_state()), names)
    with _Tracer(found, registry):
        trainer = Trainer(experiment, Observers(registry.manager, no_record, no_failure))
        network.train()
        for step, (x, y, _) in enumerate(experiment.loader):
            trainer.epoch = int(plan.epochs[step]) if plan.epochs is not None else 0
            requested = scheduler.groups(step, trainer.epoch, network.depth)
            ranges = (group.indices(network.depth) for group in requested)
            found.groups.append(sorted((first, stop) for first, stop, _ in ranges))
            trainer.learn(x, y)
    return found


class _Tracer:
    def __init__(self, found: Trace, registry: Registry) -> None:
        self.found, self.registry = found, registry

    def __enter__(self) -> Self:
        self.registry.manager.register(self, name="replay-trace")
        return self

    def __exit__(self, *exception: object) -> None:
        self.registry.manager.unregister(name="replay-trace")

    @hookimpl
    def ffprobe_after_step(self, context: StepContext) -> None:
        loss, positive, negative = (v.detach().clone() for v in (context.loss, context.positive, context.negative))
        self.found.steps.append(TracedStep(loss, positive, negative, _copy(context.run.network.named_state())))


def _copy(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in state.items() if value.is_floating_point()}
