"""Groups of any size that follow one another, overlapping or not."""

from __future__ import annotations

from pydantic import Field

import ffprobe


class Blocks(ffprobe.UpdateScheduler):
    """Groups of ``size`` layers, each beginning ``overlap`` layers before the one before ends; all at every step.

    The last group ends with the network and is shorter where layers run out. One group as large as the network is
    backpropagation, groups of one are greedy. Where groups overlap, the shared layers run again with their new weights
    and learn twice a step, from an optimizer of each group; their batch statistics are then taken twice.
    """

    name = "blocks"
    source = (
        "decoupled greedy learning: Belilovsky et al. 2020, arXiv:1901.08164; overlap: Laskin et al., arXiv:2012.03837"
    )

    class Params(ffprobe.Params):
        """How many layers learn together."""

        size: int = Field(2, ge=1, description="layers of a group")
        overlap: int = Field(0, ge=0, description="layers that a group shares with the one before; below size")

    def prepare(self, depth: int, epochs: int, steps_per_epoch: int) -> None:
        """Refuse an overlap that never gets on."""
        if self.params.overlap >= self.params.size:
            raise ffprobe.UsageError(
                f"Blocks of {self.params.size} layers cannot overlap by {self.params.overlap}.",
                hint="--set scheduler.overlap below scheduler.size.",
            )

    def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
        """Groups from the first layer to the last."""
        size, stride = self.params.size, self.params.size - self.params.overlap
        found = []
        for start in range(0, depth, stride):
            found.append(slice(start, min(start + size, depth)))
            if start + size >= depth:
                break
        return found


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Blocks]
