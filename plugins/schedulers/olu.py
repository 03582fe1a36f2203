"""Overlapping local updates: pairs of layers learn together, and the pairing shifts by one layer every step."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

import ffprobe


class OverlappingLocalUpdates(ffprobe.UpdateScheduler):
    """Trains pairs of layers and shifts the pairing by one layer every turn: layers 1-2, 3-4, ... on even turns; 1,
    2-3, 4-5, ... on odd turns.

    Each layer is thus trained in turn by its own loss and by that of the next layer. With an even depth, the last layer
    has no partner on odd turns and is idle, as in the authors' code. A turn is one optimizer step, counted over the
    whole run (the authors' code counts from 0 in every epoch, so two even turns may follow each other there). The
    text's App. F also speaks of epochs, which ``alternate_every`` offers.
    """

    name = "olu"
    source = "Trifecta, arXiv:2311.18130, App. F; Laskin et al. 2020, arXiv:2012.03837"

    class Params(ffprobe.Params):
        """When the pairing shifts."""

        alternate_every: Literal["step", "epoch"] | int = Field(
            "step", description="length of a turn: step, epoch, or a number of steps"
        )
        offset: Literal[0, 1] = Field(0, description="number of the first turn, 0 or 1; 1 swaps even and odd turns")
        train_last: bool = Field(
            False, description="train a last layer without a partner alone instead of leaving it idle"
        )

    def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
        """Pairs of layers, and on odd turns the first layer alone."""
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
