"""How many layers must learn? Runs that train only their last layers, above frozen random ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ffprobe_plugins.probes.rung_probe import RungProbe
from pydantic import Field

import ffprobe

if TYPE_CHECKING:
    from ffprobe_plugins.probes.rungs import Groups, Ladder


class DepthUtility(RungProbe, ffprobe.Probe):
    """Accuracy by the number of trained layers, the last k; the layers before them keep their random weights.

    If training the last few layers is as accurate as training all of them, the deep layers learn nothing that random
    features do not give. The runs differ only in the scheduler and the seed: ``last-layers:count=1``, ``2`` and so on,
    and the run that trains all layers; ``ffprobe sweep studies/depth-utility.toml`` trains them. Runs that leave out
    other layers than the first are left out here. ``gain`` and ``below`` compare runs with the same seed.
    """

    name = "depth-utility"
    source = "last k layers trained above frozen ones: a question of The Price of Locality (arXiv:2609.33240)"
    question = "How accurate is the network if only its last layers learn?"
    number = ("trained", "number of trained layers, the last ones; the others are random")
    axis = "trained layers, the last ones"

    class Params(ffprobe.Params):
        """When fewer layers count as enough."""

        tolerance: float = Field(
            1.0, gt=0, description="points below the most trained layers at which fewer layers count as enough"
        )

    def number_of(self, groups: Groups, depth: int) -> int | str:
        first = min(a for a, _ in groups)
        if {layer for a, b in groups for layer in range(a, b)} != set(range(first, depth)):
            return "the trained layers are not the last ones"
        return depth - first

    def verdict(self, ladder: Ladder) -> str:
        """The smallest number of trained layers that is within the tolerance of the largest."""
        top = ladder.rungs[-1]
        enough = next(r for r in ladder.rungs if r is top or top.gain_over(r).gain <= self.params.tolerance)
        if top is enough:
            text = f"no smaller number of trained layers is within {self.params.tolerance:g} points of {top.number}"
        else:
            gain = top.gain_over(enough).gain
            text = f"training the last {enough.number} is {gain:.1f} points below training {top.number}"
        depth = "" if top.number == top.depth else f", and no run trains all {top.depth}"
        return f"{text[0].upper()}{text[1:]} layers{depth}."


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [DepthUtility]
