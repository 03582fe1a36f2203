"""Interlocking updates: every layer's loss reaches a fixed number of layers down, at every step."""

from __future__ import annotations

from pydantic import Field

import ffprobe


class Interlocking(ffprobe.UpdateScheduler):
    """The loss of layer ``i`` updates layers ``i - size + 1`` to ``i``, for every ``i``, at every step.

    Size 2 is the second form of overlapping local updates in the Trifecta (App. F, "update both the current and
    previous layer at each step"), which the text calls as accurate as the alternating one and slower; size 1 is greedy.

    Deviation from Gomez et al., where the groups of one step share a forward pass: here a group begins after the one
    before has learned, so that a shared layer runs again with its new weights, has an optimizer in each group, and
    takes its batch statistics once a group.
    """

    name = "interlocking"
    source = "Gomez et al., arXiv:2010.04116; Trifecta, arXiv:2311.18130, App. F"

    class Params(ffprobe.Params):
        """How far a loss reaches."""

        size: int = Field(2, ge=1, description="layers that a loss updates, its own included")

    def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
        """One group for each layer; the first ones are shorter."""
        return [slice(max(0, last - self.params.size + 1), last + 1) for last in range(depth)]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Interlocking]
