"""Trains the whole network as one update group."""

from __future__ import annotations

import ffprobe


class Whole(ffprobe.UpdateScheduler):
    """Trains all layers as one group: the loss of the last layer is backpropagated through the whole network.

    With a goodness and a loss of form ``class``, this is backpropagation, the baseline for local methods.
    """

    name = "whole"
    source = "backpropagation: Rumelhart, Hinton, Williams 1986; baseline of the Trifecta, arXiv:2311.18130, Sec. 6"

    def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
        """One group of all layers."""
        return [slice(0, depth)]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Whole]
