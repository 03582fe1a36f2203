"""Runs a search by Optuna: trials in rounds, fed with the accuracy of every committed epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import TYPE_CHECKING

from ffprobe.components.executor import Executor, JobEvent, ResourceLimits
from ffprobe.errors import FileError
from ffprobe.sweep.grid import Grid, trial_point
from ffprobe.sweep.plan import PlannedRun, left_to_do
from ffprobe.sweep.ranking import validation_accuracy
from ffprobe.sweep.search import AXIS, Search, draws
from ffprobe.sweep.study import Study, Trial
from ffprobe.sweep.sweep import Progress, sweep

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 2.0
"""Seconds between two looks at the epochs of the runs in progress."""

Plan = Callable[[Grid], list[PlannedRun]]
OnEvent = Callable[[Progress, JobEvent | None], None]


def trials_grid(grid: Grid, search: Search, trials: Sequence[Trial]) -> Grid:
    """The grid of some trials, which are an axis beside its others."""
    points = tuple(trial_point(search, trial.number, trial.drawn) for trial in trials)
    return replace(grid, axes={AXIS: points, **grid.axes})


def example(grid: Grid, search: Search) -> Grid:
    """The grid of one trial that is drawn at random, to check what a search will run."""
    return trials_grid(grid, search, [Trial(1, draws(search.space, 1, search.seed)[0])])


def run_search(
    grid: Grid,
    search: Search,
    study: Study,
    plan: Plan,
    executor: Executor,
    limits: ResourceLimits,
    round_view: Callable[[Sequence[PlannedRun], int], OnEvent],
) -> tuple[list[PlannedRun], list[Progress]]:
    """Run all trials of a search, or those that are left of it.

    As many trials as may run at a time form a round; Optuna chooses the next round when all of them have ended. A trial
    that the pruner gives up is stopped if the executor can stop single jobs.

    Args:
        grid: the grid with the search; its axes multiply the runs of each trial, whose mean accuracy counts.
        search: the search.
        study: chooses the trials.
        plan: plans a grid.
        executor: starts and stops the runs.
        limits: the resources that may be used at a time.
        round_view: called before each round with its runs and the number of trials that have ended; returns what is
            called with every event.

    Returns:
        The runs of the trials that have an accuracy, and the progress of each round.
    """
    rounds = []
    width = limits.jobs or max(1, len(limits.gpus) * limits.jobs_per_gpu)
    while trials := study.next(width):
        planned = plan(trials_grid(grid, search, trials))
        show, pruning = round_view(planned, study.ended()), _Pruning(study, trials, planned, executor)

        def on_event(
            progress: Progress, event: JobEvent | None, show: OnEvent = show, prune: OnEvent = pruning
        ) -> None:
            show(progress, event)
            prune(progress, event)

        progress = sweep(left_to_do(planned), executor, limits, on_event)
        rounds.append(progress)
        for trial in trials:
            runs = _runs(planned, search, trial)
            known = [validation_accuracy(run.job.out) for run in runs if run.job.out.exists()]
            complete = len(known) == len(runs) and all(accuracy == accuracy for accuracy in known)
            given_up = any(run.job.name in progress.given_up for run in runs)
            study.finish(trial, fmean(known) if complete else None, given_up=given_up and not complete)
    return plan(trials_grid(grid, search, finished)) if (finished := study.finished()) else [], rounds


def _runs(planned: Sequence[PlannedRun], search: Search, trial: Trial) -> list[PlannedRun]:
    name = trial_point(search, trial.number, trial.drawn).name
    return [run for run in planned if any(point.axis == AXIS and point.name == name for point in run.points)]


@dataclass
class _Pruning:
    """Reports to the study what the runs of a round have committed, and stops what it gives up."""

    study: Study
    trials: Sequence[Trial]
    planned: Sequence[PlannedRun]
    executor: Executor
    reported: dict[str, int] = field(default_factory=dict)
    looked: float = 0.0

    def __call__(self, progress: Progress, event: JobEvent | None) -> None:
        if time.monotonic() - self.looked < SECONDS or len(self.planned) > len(self.trials):
            return  # the epochs of several runs of one trial do not form one series
        self.looked = time.monotonic()
        for trial, run in zip(self.trials, self.planned, strict=True):
            name = run.job.name
            if name in progress.given_up or not any(e.job.name == name for e in progress.of("running")):
                continue
            for epoch, accuracy in committed(run.job.out, self.reported.get(name, 0)):
                self.reported[name] = epoch
                if self.study.falls_behind(trial, epoch, accuracy) and self.executor.stop(run.job):
                    progress.given_up.add(name)
                    break


def committed(out: Path, after: int) -> list[tuple[int, float]]:
    """Epochs that a run in progress has committed and evaluated, with their validation accuracy in percent.

    Args:
        out: the run file.
        after: only later epochs than this.
    """
    from ffprobe.store.caps import VIEW_LIMIT
    from ffprobe.store.names import partial_of
    from ffprobe.store.reader import open_run

    try:
        with open_run(partial_of(out), limit=VIEW_LIMIT) as run:
            accuracies = run.read("metrics/model_validation_accuracy")
            return [(e, 100 * float(a)) for e, a in enumerate(accuracies, 1) if e > after and a == a]
    except (FileError, KeyError):  # not created yet, or just finished
        return []
