"""The time of every work of a step, measured on a copy of the network by the process that probably computes it."""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import torch

from ffprobe.components.process_group import ProcessGroup
from ffprobe.components.rule import LearnerSetup, Rule
from ffprobe.distributed.placement import Placement, place
from ffprobe.network.network import LayeredNetwork
from ffprobe.training.group_learner import GroupLearner, StepState
from ffprobe.training.groups import groups_of_step
from ffprobe.training.pipeline.dropout_draws import draw_masks
from ffprobe.training.pipeline.step_plan import ENCODER, Work, step_plan

REPEATS = 3
"""Timed repetitions after one that is not timed; the shortest counts, since other programs only ever add time."""

EPOCHS, STEPS = 32, 4
"""How many epochs, evenly spread, and how many steps of each are looked at for how often a work occurs."""


def work_frequencies(setup: LearnerSetup, placement: Placement, epochs: int, per_epoch: int) -> dict[Work, float]:
    """How often each work occurs in a step, on average over the run."""
    counts: Counter[Work] = Counter()
    steps = 0
    for epoch in sorted({index * epochs // min(epochs, EPOCHS) for index in range(min(epochs, EPOCHS))}):
        for offset in range(min(per_epoch, STEPS)):
            groups = groups_of_step(setup.scheduler, epoch * per_epoch + offset, epoch, placement.depth)
            counts.update(step_plan(groups, placement).works)
            steps += 1
    return {work: count / steps for work, count in counts.items()}


def by_last_layer(seconds: dict[Work, float], frequencies: dict[Work, float], depth: int) -> list[float]:
    """Time per step of the works that end with each layer, ``[L]``."""
    totals = [0.0] * depth
    for work, often in frequencies.items():
        totals[work.stop - 1] += often * seconds[work]
    return totals


def provisional(frequencies: dict[Work, float], costs: list[int], processes: int) -> Placement:
    """A placement by multiply-adds, for measuring: every process measures about what it will compute.

    Args:
        frequencies: from ``work_frequencies``.
        costs: multiply-adds of each layer for one image.
        processes: number of processes.
    """
    estimated = {
        work: 0.0
        if work.kind == "normalizer"
        else (3.0 if work.kind == "group" else 1.0) * sum(costs[i] for i in _of(work))
        for work in frequencies
    }
    return place(by_last_layer(estimated, frequencies, len(costs)), processes)


def measure(
    works: Iterable[Work], setup: LearnerSetup, rule: Rule, images: torch.Tensor, labels: torch.Tensor
) -> tuple[dict[Work, float], bool]:
    """Time works on a copy of the network, with random activations as inputs.

    Args:
        works: the works to time.
        setup: of the run; it is not changed.
        rule: of the run.
        images: a batch, ``[B, C, H, W]``.
        labels: its labels, int64 ``[B]``.

    Returns:
        Seconds of each work, and whether a work draws random numbers other than the dropout masks of its layers.
    """
    seconds: dict[Work, float] = {}
    draws_more = False
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        network, loss, scheduler, negatives = copy.deepcopy(
            (setup.network, setup.loss, setup.scheduler, setup.negatives)
        )
        copies = {"network": network, "loss": loss, "scheduler": scheduler, "negatives": negatives}
        generator = torch.Generator().manual_seed(0)
        network.train()
        learner = rule.build(replace(setup, **copies, generator=generator, process_group=ProcessGroup()))
        assert isinstance(learner, GroupLearner)
        learner.set_learning_rate(0.0)
        batch = learner.begin(images, labels, 0, 0)
        for work in works:
            times = []
            for repetition in range(REPEATS + 1):
                state = _state(work, batch, network)
                torch.manual_seed(repetition)
                began = time.perf_counter()
                activation = _run(work, learner, state)
                times.append(time.perf_counter() - began)
                if repetition == 0:
                    used = torch.get_rng_state()
                    torch.manual_seed(repetition)
                    draw_masks(network, work, len(batch.images) if batch.images is not None else 0, activation)
                    draws_more |= not torch.equal(used, torch.get_rng_state())
            seconds[work] = min(times[1:])
            learner.optimizers.clear()  # only one group's moments at a time
    return seconds, draws_more


def _of(work: Work) -> list[int]:
    return [layer for layer in work.uses if layer != ENCODER]


def _state(work: Work, batch: StepState, network: LayeredNetwork) -> StepState:
    shortcuts = (network.layer(index).spec.shortcut for index in _of(work))
    needed = {work.start, *(s.source + 1 for s in shortcuts if s and s.source < work.start)} - {0}
    assert batch.images is not None
    rows = len(batch.images)
    inputs = {i: _random((rows, *network.layer(i).input_shape), batch.images) for i in sorted(needed)}
    return replace(batch, inputs=inputs, goodness={})


def _random(shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
    values = torch.randn(shape, device=like.device, dtype=like.dtype)
    return values.contiguous(memory_format=torch.channels_last) if values.dim() == 4 else values


def _run(work: Work, learner: GroupLearner, state: StepState) -> torch.Tensor:
    if work.kind == "group":
        learner.train_group(state, (work.start, work.stop))
        learner.finish_group(state, (work.start, work.stop), set())
    elif work.kind == "idle":
        learner.run_idle(state, work.stop)
    else:
        learner.update_idle_normalizer(state)
    return next(reversed(state.inputs.values()))
