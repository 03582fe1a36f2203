"""A copy of the run to try things on: same weights, same components, a learner that cannot move them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from ffprobe.components.process_group import Team
from ffprobe.components.rule import Bench, Learner
from ffprobe.runtime.seeding import stream, stream_seed
from ffprobe.training.experiment import Experiment


@dataclass(frozen=True)
class Rehearsal:
    """A run's double; whatever is done to it, the run does not notice.

    Attributes:
        network: a deep copy of the ``ffprobe.Stack``, in training mode, without gradients.
        bench: the ``ffprobe.Bench`` of that network: copies of loss, scheduler and negatives (they may keep a state of
            their own), and a generator of its own.
        learner: built afresh by the run's rule on that bench, at learning rate 0: gradients stand in ``network`` after
            each update that its ``step`` yields, weights stay where they are.
    """

    network: Any
    bench: Bench
    learner: Learner


@contextmanager
def rehearsal(experiment: Experiment, step: int) -> Iterator[Rehearsal]:
    """A double of the experiment as it stands after ``step`` steps.

    Negatives and torch's global generator draw from the run's stream ``probes`` at this step, so that two rehearsals at
    one step draw the same, whatever else watches, and a resumed run records what an unbroken one does.

    A rule that changes weights by other means than an optimizer at ``set_learning_rate`` moves the copy's weights.

    Args:
        experiment: not changed.
        step: optimizer steps done so far.

    Raises:
        RuntimeError: something in the network or a component cannot be copied.
    """
    seed, bench, device = experiment.config.settings.seed, experiment.bench, experiment.device
    # one copy of all together, so that what two of them share they still share
    network, loss, scheduler, negatives, rule = copy.deepcopy(
        (bench.network, bench.loss, bench.scheduler, bench.negatives, experiment.components["rule"])
    )
    generator = stream(seed, "probes", step)
    copies = {"network": network, "loss": loss, "scheduler": scheduler, "negatives": negatives}
    twin = replace(bench, **copies, generator=generator, team=Team())  # nobody else rehearses
    cards = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cards), torch.enable_grad():
        torch.manual_seed(stream_seed(seed, "probes", step))
        network.train()
        network.zero_grad(set_to_none=True)
        learner = rule.build(twin)  # type: ignore[attr-defined]
        learner.set_learning_rate(0.0)
        yield Rehearsal(network, twin, learner)
