"""Overlapping local updates: pairs of layers learn together, and the pairing shifts by one every step."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

import ffprobe


class OverlappingLocalUpdates(ffprobe.UpdateScheduler):
    """Layers 0-1, 2-3 ... on even turns; 0, 1-2, 3-4 ... on odd turns.

    A layer is thus trained in turn by its own loss and by the next layer's. With an even depth the last layer has no
    partner on odd turns and is idle, as in the authors' code. Turns are optimizer steps, counted over the whole run
    (the authors' code counts from 0 in every epoch, so two even turns may meet there); the text's App. F also speaks
    of epochs, which ``alternate_every`` offers.
    """

    name = "olu"
    source = "Trifecta, arXiv:2311.18130, App. F; Laskin et al. 2020, arXiv:2012.03837"

    class Params(ffprobe.Params):
        """When the pairing shifts."""

        alternate_every: Literal["step", "epoch"] | int = Field(
            "step", description="a turn: one step, one epoch, or this many steps"
        )
        offset: Literal[0, 1] = Field(0, description="1 swaps even and odd turns")
        train_last: bool = Field(False, description="let a last layer without partner learn alone instead of idling")

    def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
        """Pairs of layers, and a single first layer on odd turns."""
        every = self.params.alternate_every
        turn = epoch if every == "epoch" else step if every == "step" else step // max(every, 1)
        odd = (turn + self.params.offset) % 2
        if depth == 1:
            return [slice(0, 1)]
        groups = [slice(0, 1)] if odd else []
        groups += [slice(i, i + 2) for i in range(odd, depth - 1, 2)]
        if self.params.train_last and groups[-1].stop < depth:
            groups.append(slice(depth - 1, depth))
        return groups


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [OverlappingLocalUpdates]
