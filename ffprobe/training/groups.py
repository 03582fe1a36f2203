"""The update groups of a scheduler, checked once before the run."""

from __future__ import annotations

from ffprobe.components.scheduler import UpdateScheduler
from ffprobe.errors import PluginError

Group = tuple[int, int]


def plan(scheduler: UpdateScheduler, depth: int, epochs: int, steps_per_epoch: int) -> tuple[Group, ...]:
    """Prepare the scheduler; every group that it will ask for, shortest first.

    The first steps of every epoch are looked at; a group that appears only later gets its optimizer when it appears.

    Raises:
        PluginError: a group is empty or leaves the network, a step has none, or a layer is in none ever.
    """
    scheduler.prepare(depth, epochs, steps_per_epoch)
    found: set[Group] = set()
    for epoch in range(epochs):
        for offset in range(min(steps_per_epoch, 4 * depth)):
            found |= set(groups_of_step(scheduler, epoch * steps_per_epoch + offset, epoch, depth))
    reached = {layer for a, b in found for layer in range(a, b)}
    idle = sorted(set(range(depth)) - reached)
    # a schedule longer than the run may leave layers out; that is the user's business, an empty one is not
    if not found:
        raise PluginError(f"The scheduler {scheduler.name!r} updates no layer at all.")
    if idle and epochs * steps_per_epoch >= 4 * depth:
        raise PluginError(f"The scheduler {scheduler.name!r} never updates the layers {idle} of {depth}.")
    return tuple(sorted(found, key=lambda g: (g[1] - g[0], g)))


def groups_of_step(scheduler: UpdateScheduler, step: int, epoch: int, depth: int) -> list[Group]:
    """The groups of one step in the order in which they are worked through: by their last layer, then their first.

    Args:
        scheduler: whose groups.
        step: optimizer steps done before this one, from 0.
        epoch: from 0.
        depth: the number of layers.

    Returns:
        Pairs ``(a, b)``: layers ``a`` to ``b - 1``, each pair once.

    Raises:
        PluginError: a group is empty or leaves the network.
    """
    groups = []
    for part in scheduler.groups(step, epoch, depth):
        a, b = part.start or 0, depth if part.stop is None else part.stop
        if not 0 <= a < b <= depth or part.step not in (None, 1):
            raise PluginError(
                f"The scheduler {scheduler.name!r} asks for the group {part} of a network of {depth} layers.",
                hint="A group is slice(a, b) with 0 <= a < b <= depth.",
            )
        groups.append((a, b))
    return sorted(set(groups), key=lambda g: (g[1], g[0]))
