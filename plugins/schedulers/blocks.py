"""Update groups of any size that follow one another, with or without overlap."""

from __future__ import annotations

import torch
from pydantic import Field

import ffprobe


class Blocks(ffprobe.UpdateScheduler):
    """Trains groups of ``size`` layers, all at every step; each group starts ``overlap`` layers before the end of the
    previous one.

    The last group ends with the network and may be shorter. One group as large as the network is backpropagation;
    groups of one layer are greedy. If groups overlap, the shared layers run again with their new weights and learn
    twice per step, each time with the optimizer of that group; their batch statistics are then updated twice.
    """

    name = "blocks"
    source = (
        "decoupled greedy learning: Belilovsky et al. 2020, arXiv:1901.08164; overlap: Laskin et al., arXiv:2012.03837"
    )

    class Params(ffprobe.Params):
        """The size and the overlap of the groups."""

        size: int = Field(2, ge=1, description="number of layers in a group, at least 1")
        overlap: int = Field(
            0, ge=0, description="number of layers that a group shares with the previous one, at least 0 and below size"
        )

    def prepare(self, depth: int, epochs: int, steps_per_epoch: int, generator: torch.Generator) -> None:
        """Refuse an overlap that is not below the size."""
        if self.params.overlap >= self.params.size:
            raise ffprobe.UsageError(
                f"Blocks of {self.params.size} layers cannot overlap by {self.params.overlap}.",
                hint="Set scheduler.overlap to a value below scheduler.size.",
            )

    def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
        """The groups from the first layer to the last."""
        size, stride = self.params.size, self.params.size - self.params.overlap
        groups = []
        for start in range(0, depth, stride):
            groups.append(slice(start, min(start + size, depth)))
            if start + size >= depth:
                break
        return groups


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Blocks]
