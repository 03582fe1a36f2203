"""Every second layer learns alone; the two halves take turns."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

import ffprobe


class Alternating(ffprobe.UpdateScheduler):
    """Trains every second layer, each alone: layers 1, 3, 5, ... on even turns; 2, 4, 6, ... on odd turns.

    No gradient crosses the border of a layer, so a layer learns from its own loss only, in half of the steps. These
    are the losses of ``olu`` without their overlap: the public code of arXiv:2609.33240 trains its "Trifecta" this way,
    because no optimizer of that code holds the layer below, and changes turns by the epoch.
    """

    name = "alternating"
    source = "the Trifecta of Zhaoxian-Wu/ffa-theory, code of arXiv:2609.33240; compare arXiv:2311.18130, App. F"

    class Params(ffprobe.Params):
        """When the turns change."""

        alternate_every: Literal["step", "epoch"] | int = Field(
            "epoch", description="length of a turn: step, epoch, or a number of steps"
        )
        offset: Literal[0, 1] = Field(0, description="number of the first turn, 0 or 1; 1 swaps even and odd turns")

    def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
        """One group for each second layer; none on an odd turn of a network of one layer."""
        every = self.params.alternate_every
        turn = epoch if every == "epoch" else step if every == "step" else step // max(every, 1)
        return [slice(i, i + 1) for i in range((turn + self.params.offset) % 2, depth, 2)]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Alternating]
