"""A copy of the run to try things on: same weights, same components, a learner that cannot move them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from ffprobe.components.process_group import ProcessGroup
from ffprobe.components.rule import Learner, LearnerSetup
from ffprobe.runtime.seeding import stream, stream_seed
from ffprobe.training.experiment import Experiment


@dataclass(frozen=True)
class Sandbox:
    """A run's double; whatever is done to it, the run does not notice.

    Attributes:
        network: a deep copy of the ``ffprobe.LayeredNetwork``, in training mode, without gradients.
        setup: the ``ffprobe.LearnerSetup`` of that network: copies of loss, scheduler and negatives (they may have
            state), and a generator of its own.
        learner: built afresh by the run's rule on that setup, at learning rate 0: gradients stand in ``network`` after
            each update that its ``step`` yields, weights stay where they are.
    """

    network: Any
    setup: LearnerSetup
    learner: Learner


@contextmanager
def sandbox(experiment: Experiment, step: int) -> Iterator[Sandbox]:
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
    seed, setup, device = experiment.config.settings.seed, experiment.setup, experiment.device
    # one copy of all together, so that what two of them share they still share
    network, loss, scheduler, negatives, rule = copy.deepcopy(
        (setup.network, setup.loss, setup.scheduler, setup.negatives, experiment.components["rule"])
    )
    generator = stream(seed, "probes", step)
    copies = {"network": network, "loss": loss, "scheduler": scheduler, "negatives": negatives}
    twin = replace(setup, **copies, generator=generator, process_group=ProcessGroup())  # nobody else rehearses
    cards = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cards), torch.enable_grad():
        torch.manual_seed(stream_seed(seed, "probes", step))
        network.train()
        network.zero_grad(set_to_none=True)
        learner = rule.build(twin)  # type: ignore[attr-defined]
        learner.set_learning_rate(0.0)
        yield Sandbox(network, twin, learner)
