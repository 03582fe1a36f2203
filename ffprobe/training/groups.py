"""The update groups of a scheduler, validated once before the run."""

from __future__ import annotations

import torch

from ffprobe.components.scheduler import UpdateScheduler
from ffprobe.errors import PluginError

Group = tuple[int, int]


def plan(
    scheduler: UpdateScheduler,
    depth: int,
    epochs: int,
    steps_per_epoch: int,
    generator: torch.Generator,
    every_layer: bool = True,
) -> tuple[Group, ...]:
    """Prepare the scheduler and collect the groups that it will request.

    Only the first ``4 * depth`` steps of every epoch are examined; a group that appears later gets its optimizer when
    it appears.

    Args:
        scheduler: the scheduler; its ``prepare`` is called.
        depth: number of layers.
        epochs: number of epochs of the run.
        steps_per_epoch: number of optimizer steps in one epoch.
        generator: the run's random generator for schedulers, for ``prepare``.
        every_layer: whether a schedule that leaves layers out is an error, unless the scheduler does so on purpose. A
            replay repeats what was recorded.

    Returns:
        Pairs (a, b): layers a to b - 1, shortest group first.

    Raises:
        PluginError: a group is empty or leaves the network, no step has a group, or a layer is never in a group.
    """
    scheduler.prepare(depth, epochs, steps_per_epoch, generator)
    groups: set[Group] = set()
    for epoch in range(epochs):
        for offset in range(min(steps_per_epoch, 4 * depth)):
            groups |= set(groups_of_step(scheduler, epoch * steps_per_epoch + offset, epoch, depth))
    updated = {layer for a, b in groups for layer in range(a, b)}
    idle = sorted(layer + 1 for layer in set(range(depth)) - updated)
    # a schedule that is longer than the run may leave layers out: that is the user's choice; an empty schedule is not
    if not groups:
        raise PluginError(f"The scheduler {scheduler.name!r} never updates any layer.")
    must_train = every_layer and scheduler.trains_every_layer
    if must_train and idle and epochs * steps_per_epoch >= 4 * depth:
        raise PluginError(f"The scheduler {scheduler.name!r} never updates layers {idle} of {depth}.")
    return tuple(sorted(groups, key=lambda g: (g[1] - g[0], g)))


def first_epoch_of_all(
    scheduler: UpdateScheduler, groups: tuple[Group, ...], depth: int, epochs: int, steps_per_epoch: int
) -> int:
    """The first epoch, from 0, in which every layer that a run trains has begun to learn.

    It is 0 unless layers learn one after another. Until then an accuracy says nothing about the layers to come.
    """
    missing = {layer for a, b in groups for layer in range(a, b)}
    for epoch in range(epochs):
        for offset in range(min(steps_per_epoch, 4 * depth)):
            step = epoch * steps_per_epoch + offset
            missing -= {layer for a, b in groups_of_step(scheduler, step, epoch, depth) for layer in range(a, b)}
        if not missing:
            return epoch
    return epochs - 1


def groups_of_step(scheduler: UpdateScheduler, step: int, epoch: int, depth: int) -> list[Group]:
    """The groups of one step in the order in which they are updated: by their last layer, then by their first.

    Args:
        scheduler: the scheduler.
        step: number of optimizer steps completed before this one, from 0, over the whole run.
        epoch: index of the epoch, from 0.
        depth: number of layers.

    Returns:
        Pairs (a, b): layers a to b - 1; each pair once.

    Raises:
        PluginError: a group is empty or leaves the network.
    """
    groups = []
    for part in scheduler.groups(step, epoch, depth):
        a, b = part.start or 0, depth if part.stop is None else part.stop
        if not 0 <= a < b <= depth or part.step not in (None, 1):
            raise PluginError(
                f"The scheduler {scheduler.name!r} requests an invalid group {part} for a network of {depth} layers.",
                hint="A group is slice(a, b) with 0 <= a < b <= depth.",
            )
        groups.append((a, b))
    return sorted(set(groups), key=lambda g: (g[1], g[0]))
