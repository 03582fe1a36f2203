"""Simulates layers in parallel on any number of processes from the measured times of the works of a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ffprobe.distributed.placement import Placement
from ffprobe.training.groups import Group
from ffprobe.training.pipeline.step_plan import StepPlan, Work, step_plan


@dataclass(frozen=True)
class Simulated:
    """The result of a simulation.

    Attributes:
        seconds: from the first batch to the last work of the last step.
        busy: seconds of work of each process.
    """

    seconds: float
    busy: tuple[float, ...]

    @property
    def idle(self) -> float:
        """The share of time that all processes together do not work, fill and drain of the pipeline included."""
        return 1 - sum(self.busy) / (self.seconds * len(self.busy))


def simulate(
    steps: Sequence[Sequence[Group]],
    placement: Placement,
    seconds: Mapping[Work, float],
    batch_seconds: float,
    packet_seconds: Callable[[int], float],
    weight_seconds: Callable[[int], float],
) -> Simulated:
    """When every work of every step ends, each process in the order of ``StageLearner``.

    Args:
        steps: the update groups of every step.
        placement: the layers of each process.
        seconds: of each work; idle layers of the placement included.
        batch_seconds: of a batch on the first process, before its first layer.
        packet_seconds: of sending what the process with this rank passes on.
        weight_seconds: of sending the weights of a layer.
    """
    size = placement.size
    free, busy = [0.0] * size, [0.0] * size
    ready: dict[int, tuple[int, float]] = {}  # by layer: its process, and when its weights can be sent from there
    for groups in steps:
        plan: StepPlan = step_plan(groups, placement)
        arrived = 0.0
        for rank in range(size):
            now = max(free[rank], arrived)
            if rank == 0:
                now, busy[0] = now + batch_seconds, busy[0] + batch_seconds
            for index in plan.own(rank):
                work = plan.works[index]
                for layer in work.uses:
                    holder, at = ready.get(layer, (rank, 0.0))
                    now = max(now, at + (weight_seconds(layer) if holder != rank else 0.0))
                now, busy[rank] = now + seconds[work], busy[rank] + seconds[work]
                ready.update(dict.fromkeys(work.uses, (rank, now)))
            free[rank] = now
            arrived = now + (packet_seconds(rank) if rank + 1 < size else 0.0)
    return Simulated(max(free), tuple(busy))
