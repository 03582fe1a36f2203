"""Every layer learns alone, within a window of epochs of its own."""

from __future__ import annotations

from pydantic import Field, field_validator

import ffprobe


class LayerWindows(ffprobe.UpdateScheduler):
    """Layer ``i`` learns from epoch ``windows[i][0]`` to the one before ``windows[i][1]``, counted from 0.

    Layers beyond the list use its last window; an end of 0 is the end of the run. Outside its window a layer only runs
    forward. CwComp calls this interleaved layer training; its schedules are "Fast" [[0,11],[2,18],[4,26],[6,32]] and
    "Acc" [[0,11],[0,16],[0,21],[0,25]] for four layers. The default lets all layers learn all the time.
    """

    name = "layer-windows"
    aliases = ("ILT",)
    source = "CwComp, Papachristodoulou et al. 2024, arXiv:2312.12668, and its code andreaspapac/CwComp"

    class Params(ffprobe.Params):
        """When each layer learns."""

        windows: tuple[tuple[int, int], ...] = Field(
            ((0, 0),),
            min_length=1,
            description="(first epoch, epoch after the last) of each layer; 0 ends with the run",
        )

        @field_validator("windows")
        @classmethod
        def _forward(cls, value: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
            if any(start < 0 or (end and end <= start) for start, end in value):
                raise ValueError(
                    "a window is [first epoch, epoch after the last] with 0 <= first < last, or 0 for open"
                )
            return value

    def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
        """The layers in whose window this epoch lies; none is possible."""
        windows = self.params.windows
        found = []
        for layer in range(depth):
            start, end = windows[min(layer, len(windows) - 1)]
            if start <= epoch and (not end or epoch < end):
                found.append(slice(layer, layer + 1))
        return found


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [LayerWindows]
