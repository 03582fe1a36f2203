"""A search by Optuna: each trial depends on the results of those before, and trials that are behind end early."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ffprobe.errors import UsageError
from ffprobe.sweep.search import Range, Search

FILE = "study.log"
"""Optuna's journal in the directory of the sweep; with it, the same command goes on."""


@dataclass(frozen=True)
class Trial:
    """One trial: its number, from 1, and the values of its settings by dotted key."""

    number: int
    drawn: dict[str, Any]


class Study:
    """The trials of a search, as Optuna chooses them; they survive the process in a file.

    Optuna's sampler is its default (TPE) with the seed of the search, and higher validation accuracy is better.

    Args:
        search: the search.
        directory: of the sweep.

    Raises:
        UsageError: Optuna is not installed.
    """

    def __init__(self, search: Search, directory: Path) -> None:
        try:
            import optuna  # type: ignore[import-not-found,unused-ignore]
            from optuna.storages.journal import JournalFileBackend  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            hint = "Install it with: pip install 'ffprobe-nn[optuna]', or write method = \"random\"."
            raise UsageError("The search needs the library Optuna, which is not installed.", hint=hint) from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._search = optuna, search
        pruners = {
            "median": optuna.pruners.MedianPruner,
            "hyperband": optuna.pruners.HyperbandPruner,
            "none": optuna.pruners.NopPruner,
        }
        backend = JournalFileBackend(str(directory / FILE))
        self._study = optuna.create_study(
            study_name="search",
            storage=optuna.storages.JournalStorage(backend),
            sampler=optuna.samplers.TPESampler(seed=search.seed),
            pruner=pruners[search.pruner](),
            direction="maximize",
            load_if_exists=True,
        )

    def next(self, count: int) -> list[Trial]:
        """Up to ``count`` trials to run: those that were interrupted first, then new ones."""
        states = self._optuna.trial.TrialState
        known = self._study.get_trials(deepcopy=False)
        interrupted = [trial for trial in known if trial.state == states.RUNNING][:count]
        new = min(count - len(interrupted), self._search.trials - len(known))
        trials = [self._study_trial(trial.number) for trial in interrupted]
        trials += [self._study.ask() for _ in range(max(0, new))]
        return [
            Trial(trial.number + 1, {k: _suggested(trial, k, v) for k, v in self._search.space.items()})
            for trial in trials
        ]

    def falls_behind(self, trial: Trial, epoch: int, accuracy: float) -> bool:
        """Take in the validation accuracy of an epoch; whether the trial should end now."""
        reported = self._study_trial(trial.number - 1)
        reported.report(accuracy, epoch)
        return bool(reported.should_prune())

    def finish(self, trial: Trial, accuracy: float | None, *, given_up: bool = False) -> None:
        """Take in how a trial ended.

        Args:
            trial: the trial.
            accuracy: its validation accuracy; None if it has none.
            given_up: whether it was ended because it fell behind; else a trial without accuracy has failed.
        """
        states = self._optuna.trial.TrialState
        if given_up:
            self._study.tell(trial.number - 1, state=states.PRUNED)
        elif accuracy is None:
            self._study.tell(trial.number - 1, state=states.FAIL)
        else:
            self._study.tell(trial.number - 1, accuracy)

    def finished(self) -> list[Trial]:
        """The trials with an accuracy, in order."""
        complete = self._optuna.trial.TrialState.COMPLETE
        return [Trial(t.number + 1, dict(t.params)) for t in self._study.get_trials() if t.state == complete]

    def ended(self) -> int:
        """The number of trials that have ended, however they did."""
        return sum(trial.state.is_finished() for trial in self._study.get_trials(deepcopy=False))

    def _study_trial(self, number: int) -> Any:
        frozen = self._study.get_trials(deepcopy=False)[number]
        return self._optuna.trial.Trial(self._study, frozen._trial_id)


def _suggested(trial: Any, key: str, found: Range) -> Any:
    """What Optuna suggests for a setting; the same value again if it has suggested one."""
    if found.values:
        return trial.suggest_categorical(key, list(found.values))
    whole = all(isinstance(bound, int) for bound in (found.low, found.high, found.step))
    suggest = trial.suggest_int if whole else trial.suggest_float
    step = found.step or (1 if whole else None)
    return suggest(key, found.low, found.high, step=step, log=found.log)
