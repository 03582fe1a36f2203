"""Greedy updates: every layer learns alone at every step."""

from __future__ import annotations

import ffprobe


class Greedy(ffprobe.UpdateScheduler):
    """Trains every layer at every step, each alone; no gradient crosses the border of a layer."""

    name = "greedy"
    source = "Hinton 2022, arXiv:2212.13345"

    def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
        """One group for each layer."""
        return [slice(i, i + 1) for i in range(depth)]


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Greedy]
