"""Trains the last layers of a network; the layers before them keep their random weights."""

from __future__ import annotations

from pydantic import Field

import ffprobe


class LastLayers(ffprobe.UpdateScheduler):
    """Trains the last ``count`` layers at every step, in groups of ``size`` layers; the first layers are frozen.

    A frozen layer runs forward with its untrained weights. Batch normalization in it still updates its running
    statistics, so that it normalizes in evaluation as in training. A count of the whole depth or more trains every
    layer, so a series of counts ends with the ordinary run.
    """

    name = "last-layers"
    source = "training the last k layers above frozen ones: a question of The Price of Locality (arXiv:2609.33240)"
    trains_every_layer = False

    class Params(ffprobe.Params):
        """Which layers learn."""

        count: int = Field(1, ge=1, description="number of layers that learn, counted from the last")
        size: int = Field(
            1, ge=0, description="layers in an update group, from the first that learns; 0: one group of all of them"
        )

    def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
        """The groups from the first layer that learns to the last."""
        first = max(0, depth - self.params.count)
        size = self.params.size or depth
        return [slice(start, min(start + size, depth)) for start in range(first, depth, size)]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [LastLayers]
