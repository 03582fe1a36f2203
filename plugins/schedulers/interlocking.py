"""Interlocking updates: at every step, the loss of each layer updates a fixed number of layers below it."""

from __future__ import annotations

from pydantic import Field

import ffprobe


class Interlocking(ffprobe.UpdateScheduler):
    """Trains layers ``i - size + 1`` to ``i`` with the loss of layer ``i``, for every ``i`` at every step.

    Size 2 is the second form of overlapping local updates in the Trifecta (App. F, "update both the current and
    previous layer at each step"), which the text calls as accurate as the alternating form and slower; size 1 is
    greedy.

    Deviation from Gomez et al., where the groups of one step share a forward pass: here a group starts after the
    previous one has learned, so a shared layer runs again with its new weights, has one optimizer for each group, and
    updates its batch statistics once per group.
    """

    name = "interlocking"
    source = "Gomez et al., arXiv:2010.04116; Trifecta, arXiv:2311.18130, App. F"

    class Params(ffprobe.Params):
        """The reach of a loss."""

        size: int = Field(
            2, ge=1, description="number of layers that one loss updates, including its own layer, at least 1"
        )

    def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
        """One group for each layer; the first groups are shorter."""
        return [slice(max(0, last - self.params.size + 1), last + 1) for last in range(depth)]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Interlocking]
