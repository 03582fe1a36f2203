"""The time that a sweep still needs, from finished runs and from the progress of the live ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True)
class LiveRun:
    """A run in progress.

    Attributes:
        elapsed: seconds since it started.
        left: seconds that it expects to need; None before it knows.
    """

    elapsed: float
    left: float | None = None


def seconds_left(finished: Sequence[float], live: Sequence[LiveRun], waiting: int) -> float | None:
    """Estimate the time to the end of a sweep.

    A run takes as long as finished runs took on average, or, before one has finished, as the live ones expect. Waiting
    runs are spread over as many slots as there are live runs.

    Args:
        finished: durations of the finished runs of this sweep, in seconds.
        live: the runs in progress.
        waiting: number of runs that have not started.

    Returns:
        Seconds; None as long as nothing is known.
    """
    expected = [run.elapsed + run.left for run in live if run.left is not None]
    if not finished and not expected:
        return None
    typical = fmean(finished or expected)
    left = [max(0.0, typical - run.elapsed) if run.left is None else max(0.0, run.left) for run in live]
    return max((sum(left) + waiting * typical) / max(1, len(live)), max(left, default=0.0))
