"""The steps of a schedule in which every update group has its turn, for experiments in a sandbox."""

from __future__ import annotations

import ffprobe

TURNS = 256
"""Number of steps ahead that are searched for update groups to run in a sandbox."""


def remaining_turns(setup: ffprobe.LearnerSetup, step: int, epoch: int, depth: int) -> list[tuple[int, int]]:
    """The next (step, epoch) pairs that together contain every remaining update group of the schedule once.

    Args:
        setup: of the learner; its scheduler is asked.
        step: number of optimizer steps done.
        epoch: from 0.
        depth: number of layers.

    Returns:
        Pairs for ``Learner.step``; empty if the schedule has ended.
    """
    left, turns = set(setup.groups), []
    for turn in ((step + i, epoch + j) for j in range(2) for i in range(TURNS)):
        groups = set(ffprobe.groups_of_step(setup.scheduler, *turn, depth))
        if left & groups:
            turns.append(turn)
            left -= groups
        if not left:
            break
    return turns
