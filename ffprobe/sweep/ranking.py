"""The trials of a search, best first, by their validation accuracy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from ffprobe.sweep.search import AXIS

if TYPE_CHECKING:
    from ffprobe.sweep.plan import PlannedRun


@dataclass(frozen=True)
class RankedTrial:
    """One trial: what was drawn, and how accurate its runs are.

    Attributes:
        name: name of the trial.
        drawn: the settings that were drawn, by dotted key.
        accuracies: validation accuracy by the run's evaluator of each finished run, in percent.
        files: those runs.
    """

    name: str
    drawn: Mapping[str, Any]
    accuracies: tuple[float, ...]
    files: tuple[Path, ...]

    @property
    def mean(self) -> float:
        """Mean validation accuracy in percent; NaN without a finished run."""
        return fmean(self.accuracies) if self.accuracies else math.nan

    @property
    def spread(self) -> float:
        """Standard deviation over the runs; NaN for one run."""
        return stdev(self.accuracies) if len(self.accuracies) > 1 else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "trial": self.name,
            "drawn": dict(self.drawn),
            "validation_accuracy": self.mean / 100,
            "spread": self.spread / 100,
            "runs": [str(file) for file in self.files],
        }


def validation_accuracy(path: Path) -> float:
    """Validation accuracy of a finished run by its evaluator, in percent; NaN if it was not measured.

    Raises:
        FileError: the run file cannot be read.
    """
    from ffprobe.analysis.runs.summary import summarize
    from ffprobe.store.reader import open_run

    with open_run(path) as file:
        return summarize(file).validation


def rank_trials(planned: Sequence[PlannedRun]) -> list[RankedTrial]:
    """Rank the trials that have a finished run, the most accurate first.

    Only validation accuracy counts: the test set is not read by a search unless its file says so, and never chooses.

    Args:
        planned: the runs of the sweep; those that are not finished are left out.

    Raises:
        FileError: a finished run file cannot be read.
    """
    found: dict[str, tuple[Mapping[str, Any], list[tuple[float, Path]]]] = {}
    for run in planned:
        point = next((point for point in run.points if point.axis == AXIS), None)
        if point is None or not run.job.out.exists():
            continue
        accuracy = validation_accuracy(run.job.out)
        if accuracy == accuracy:
            options = {key: value for key, value in point.options.items() if key != "set"}
            drawn = {**options, **point.options.get("set", {})}
            found.setdefault(point.name, (drawn, []))[1].append((accuracy, run.job.out))
    trials = [
        RankedTrial(name, drawn, tuple(a for a, _ in runs), tuple(f for _, f in runs))
        for name, (drawn, runs) in found.items()
    ]
    return sorted(trials, key=lambda trial: (-trial.mean, trial.name))
