"""Which process trains which layers, chosen so that the slowest process is as fast as possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any


@dataclass(frozen=True)
class Placement:
    """Consecutive layers on consecutive processes.

    Attributes:
        starts: index of the first layer of each process, from 0, ascending; the first is 0.
        depth: number of layers.
        seconds: measured seconds per step of each process under this placement; empty if nothing was measured.
    """

    starts: tuple[int, ...]
    depth: int
    seconds: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """Number of processes."""
        return len(self.starts)

    def owner(self, layer: int) -> int:
        """The process of a layer; it runs every update group that ends with this layer."""
        return max(rank for rank, start in enumerate(self.starts) if start <= layer)

    def layers(self, rank: int) -> range:
        """The layers of a process."""
        return range(self.starts[rank], (*self.starts[1:], self.depth)[rank])

    def to_dict(self) -> dict[str, Any]:
        """For the run file: layers of each process, counted from 1, and seconds per step."""
        layers = [[self.layers(rank).start + 1, self.layers(rank).stop] for rank in range(self.size)]
        return {"layers": layers, "seconds_per_step": [float(f"{value:.3g}") for value in self.seconds]}


def place(seconds: Sequence[float], processes: int, before: float = 0.0) -> Placement:
    """The placement whose slowest process takes the least time per step; of equal ones, the first.

    Args:
        seconds: time per step of the work that ends with each layer, ``[L]``.
        processes: number of processes, at most L.
        before: time per step of the first process before its first layer (batch, augmentation, negatives).

    Raises:
        ValueError: there are more processes than layers.
    """
    depth = len(seconds)
    if not 1 <= processes <= depth:
        raise ValueError(f"{depth} layers cannot be placed on {processes} processes")
    sums = [0.0, *accumulate(seconds)]

    def load(start: int, stop: int) -> float:
        return sums[stop] - sums[start] + (before if start == 0 else 0.0)

    # best[stop]: (time of the slowest process, borders) for layers 0 to stop - 1
    best: dict[int, tuple[float, tuple[int, ...]]] = {stop: (load(0, stop), (0,)) for stop in range(1, depth + 1)}
    for count in range(2, processes + 1):
        best = {
            stop: min(
                (max(best[start][0], load(start, stop)), (*best[start][1], start)) for start in range(count - 1, stop)
            )
            for stop in range(count, depth + 1)
        }
    starts = best[depth][1]
    return Placement(starts, depth, tuple(load(a, b) for a, b in pairwise((*starts, depth))))
