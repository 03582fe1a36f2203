"""What one training step computes, in order, and which process computes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from ffprobe.distributed.placement import Placement
from ffprobe.training.groups import Group

ENCODER = -1
"""The encoder, where layers are listed by index."""


@dataclass(frozen=True)
class Work:
    """One piece of a step that a single process computes.

    Attributes:
        kind: ``group`` (an update group), ``idle`` (layers between groups, forward only) or ``normalizer`` (the
            normalizer of the layer after the last group, for its running statistics).
        start: index of the first layer.
        stop: index after the last layer.
    """

    kind: Literal["group", "idle", "normalizer"]
    start: int
    stop: int

    @property
    def uses(self) -> tuple[int, ...]:
        """The layers whose weights or statistics this work reads or changes, ``ENCODER`` included."""
        return (*([ENCODER] if self.start == 0 else []), *range(self.start, self.stop))


@dataclass(frozen=True)
class StepPlan:
    """The works of one step, in the order in which one process would compute them.

    Attributes:
        works: the works; their owners ascend, so that each process computes consecutive ones.
        owners: the process of each work: that of its last layer.
    """

    works: tuple[Work, ...]
    owners: tuple[int, ...]

    def own(self, rank: int) -> range:
        """The indices of the works of a process; empty at the right place if it has none."""
        first = sum(owner < rank for owner in self.owners)
        return range(first, first + self.owners.count(rank))

    def starts_from(self, index: int) -> set[int]:
        """The layers from whose input the works from ``index`` on begin."""
        return {work.start for work in self.works[index:]}

    def next_user(self, layer: int, index: int = 0) -> int | None:
        """The process of the first work from ``index`` on that uses a layer; None if there is none in this step."""
        works = zip(self.works[index:], self.owners[index:], strict=True)
        return next((owner for work, owner in works if layer in work.uses), None)


def step_plan(groups: Sequence[Group], placement: Placement) -> StepPlan:
    """The plan of a step.

    Args:
        groups: the update groups of the step, by their last layer, as ``groups_of_step`` returns them.
        placement: where the layers are; idle layers are divided at its borders.
    """
    works: list[Work] = []
    deepest = 0
    for start, stop in groups:
        if start > deepest:  # the layers between two groups are idle in this step
            cuts = [deepest, *(cut for cut in placement.starts if deepest < cut < start), start]
            works += [Work("idle", a, b) for a, b in pairwise(cuts)]
        works.append(Work("group", start, stop))
        deepest = stop
    if groups and deepest < placement.depth:
        works.append(Work("normalizer", deepest, deepest + 1))
    return StepPlan(tuple(works), tuple(placement.owner(work.stop - 1) for work in works))
