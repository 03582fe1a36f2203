"""A copy of a run for experiments: same weights, same components, and a learner with learning rate 0."""

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
    """A copy of a run; changes to it do not affect the run.

    Attributes:
        network: a deep copy of the ``ffprobe.LayeredNetwork``, in training mode, without gradients.
        setup: the ``ffprobe.LearnerSetup`` of this network: copies of loss, scheduler and negatives (which may have
            state), and its own random generator.
        learner: a new learner that the run's rule built from this setup, with learning rate 0: after each update that
            ``step`` yields, the gradients are in ``network`` and the weights are unchanged.
    """

    network: Any
    setup: LearnerSetup
    learner: Learner


@contextmanager
def sandbox(experiment: Experiment, step: int) -> Iterator[Sandbox]:
    """Copy the experiment as it is after ``step`` steps.

    Negatives and torch's global generator are seeded from the run's stream ``probes`` and this step. Two sandboxes at
    the same step therefore draw the same numbers, whatever other observers do, and a resumed run records the same
    values as an uninterrupted one.

    A rule that changes weights without an optimizer that follows ``set_learning_rate`` changes the weights of the copy.

    Args:
        experiment: the experiment; it is not changed.
        step: number of optimizer steps completed so far.

    Yields:
        The sandbox.

    Raises:
        RuntimeError: a part of the network or a component cannot be copied.
    """
    seed, setup, device = experiment.config.settings.seed, experiment.setup, experiment.device
    # a single deep copy of all of them, so that objects that two of them share are still shared
    network, loss, scheduler, negatives, rule = copy.deepcopy(
        (setup.network, setup.loss, setup.scheduler, setup.negatives, experiment.components["rule"])
    )
    generator = stream(seed, "probes", step)
    copies = {"network": network, "loss": loss, "scheduler": scheduler, "negatives": negatives}
    # other processes create no sandbox, so the copy is a group of one process
    copied_setup = replace(setup, **copies, generator=generator, process_group=ProcessGroup())
    gpus = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus), torch.enable_grad():
        torch.manual_seed(stream_seed(seed, "probes", step))
        network.train()
        network.zero_grad(set_to_none=True)
        weights = {name: value.clone() for name, value in network.state_dict().items()}
        learner = rule.build(copied_setup)  # type: ignore[attr-defined]
        network.load_state_dict(weights)  # a rule that draws initial weights has drawn them again
        learner.set_learning_rate(0.0)
        yield Sandbox(network, copied_setup, learner)
