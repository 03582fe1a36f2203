"""The whole network as one update group."""

from __future__ import annotations

import ffprobe


class Whole(ffprobe.UpdateScheduler):
    """One group of all layers: the last layer's loss is propagated back through the whole network.

    With a class-form goodness and loss this is backpropagation, the reference that local methods are held against.
    """

    name = "whole"
    source = "backpropagation: Rumelhart, Hinton, Williams 1986; baseline of the Trifecta, arXiv:2311.18130, Sec. 6"

    def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
        """All layers."""
        return [slice(0, depth)]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Whole]
