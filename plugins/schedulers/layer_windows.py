"""Each layer learns alone, within its own range of epochs."""

from __future__ import annotations

from pydantic import Field, field_validator

import ffprobe


class LayerWindows(ffprobe.UpdateScheduler):
    """Trains each layer alone, during its own window of epochs; outside its window, a layer only runs forward.

    ``windows`` has one entry (first epoch, epoch after the last) for each layer, with epochs counted from 0. Layers
    beyond the list use its last window; an end of 0 is the end of the run. CwComp calls this interleaved layer
    training; its schedules for four layers are "Fast" [[0,11],[2,18],[4,26],[6,32]] and "Acc"
    [[0,11],[0,16],[0,21],[0,25]]. By default, all layers learn in all epochs.
    """

    name = "layer-windows"
    aliases = ("ILT",)
    source = "CwComp, Papachristodoulou et al. 2024, arXiv:2312.12668, and its code andreaspapac/CwComp"

    class Params(ffprobe.Params):
        """When each layer learns."""

        windows: tuple[tuple[int, int], ...] = Field(
            ((0, 0),),
            min_length=1,
            description="(first epoch, epoch after the last) of each layer, counted from 0; an end of 0 is "
            "the end of the run; the last window serves all further layers",
        )

        @field_validator("windows")
        @classmethod
        def _forward(cls, value: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
            if any(start < 0 or (end and end <= start) for start, end in value):
                raise ValueError(
                    "a window must be [first epoch, epoch after the last], 0 <= first < last, or last = 0 for no end"
                )
            return value

    def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
        """The layers whose window contains this epoch; there may be none."""
        windows = self.params.windows
        groups = []
        for layer in range(depth):
            start, end = windows[min(layer, len(windows) - 1)]
            if start <= epoch and (not end or epoch < end):
                groups.append(slice(layer, layer + 1))
        return groups


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [LayerWindows]
