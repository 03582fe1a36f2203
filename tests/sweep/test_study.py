"""A search by Optuna, with the real library and runs that are only pretended."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import ffprobe
from ffprobe.components.executor import Job, JobEvent, ResourceLimits
from ffprobe.errors import UsageError
from ffprobe.sweep import run_search as module
from ffprobe.sweep.grid import Grid, Point
from ffprobe.sweep.run_search import example, run_search, trials_grid
from ffprobe.sweep.search import Range, Search
from ffprobe.sweep.study import FILE, Study, Trial

pytest.importorskip("optuna")
RATE = "training.learning_rate"
SPACE = {RATE: Range((), 1e-4, 1e-1, log=True), "batch_size": Range((32, 64)), "loss.alpha": Range((), 1, 8)}
SEARCH = Search(SPACE, 6, seed=3, method="optuna")


def test_the_same_seed_gives_the_same_first_trials(tmp_path: Path) -> None:
    drawn = []
    for name in "ab":
        (tmp_path / name).mkdir()
        drawn.append(Study(SEARCH, tmp_path / name).next(2))
    assert drawn[0] == drawn[1]
    trial = drawn[0][0]
    assert trial.number == 1 and 1e-4 <= trial.drawn[RATE] <= 1e-1 and trial.drawn["batch_size"] in (32, 64)
    assert isinstance(trial.drawn["loss.alpha"], int)


def test_an_interrupted_trial_comes_first_with_the_same_values(tmp_path: Path) -> None:
    first, second = (study := Study(SEARCH, tmp_path)).next(2)
    study.finish(first, 90.0)
    study = Study(SEARCH, tmp_path)
    assert study.next(1) == [second]
    study.finish(second, None)
    assert [trial.number for trial in study.next(9)] == [3, 4, 5, 6]  # no more than the search has
    assert (study.finished(), study.ended()) == ([first], 2)


def test_a_trial_that_is_behind_is_given_up(tmp_path: Path) -> None:
    study = Study(replace(SEARCH, trials=9), tmp_path)
    for trial in study.next(5):  # the median pruner gives up none of the first five
        assert not any(study.falls_behind(trial, epoch, 80.0 + epoch) for epoch in (1, 2))
        study.finish(trial, 82.0)
    better, worse = study.next(2)
    assert not study.falls_behind(better, 1, 95.0)
    assert study.falls_behind(worse, 1, 10.0)
    study.finish(worse, None, given_up=True)
    assert len(study.finished()) == 5 and study.ended() == 6


def test_without_the_library_the_message_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(UsageError, match="Optuna") as caught:
        Study(SEARCH, tmp_path)
    assert "ffprobe-nn[optuna]" in caught.value.hint


class Pretended(ffprobe.Executor):
    """Ends every job at once; its accuracy grows with the learning rate."""

    name = "pretended"

    def __init__(self, params: Any = None) -> None:
        super().__init__(params)
        self.rounds: list[list[str]] = []

    def run_jobs(self, jobs: Sequence[Job], limits: ResourceLimits) -> Generator[JobEvent | None, None, None]:
        self.rounds.append([job.name for job in jobs])
        for job in jobs:
            yield JobEvent(job, "running")
            yield None
            if job.name in self.stopped:
                yield JobEvent(job, "failed", why="exit code 130")
            else:
                job.out.write_text(job.command[0])
                yield JobEvent(job, "finished")

    stopped: set[str] = set()

    def stop(self, job: Job) -> bool:
        self.stopped = {*self.stopped, job.name}
        return True


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a search whose run files contain only their accuracy."""
    monkeypatch.setattr(module, "validation_accuracy", lambda path: float(path.read_text()))
    monkeypatch.setattr(module, "SECONDS", 0.0)

    def plan(grid: Grid) -> list[Any]:
        runs = []
        for points in grid.cells():
            name = "_".join(point.name for point in points)
            rate = points[0].options["set"][RATE]
            job = Job(name, (str(100 * rate),), tmp_path / f"{name}.h5", tmp_path / "log", tmp_path)
            status = "finished" if job.out.exists() else "new"
            runs.append(SimpleNamespace(job=job, status=status, points=points))
        return runs

    def run(executor: Any, axes: Any = None, jobs: int = 2) -> Any:
        grid = Grid(Path("g.toml"), "", Point("", "", {}, "[each]"), axes or {}, SEARCH)
        study, before = Study(SEARCH, tmp_path), []

        def round_view(runs: Any, ended: int) -> Any:
            before.append(ended)
            return lambda progress, event: None

        return *run_search(grid, SEARCH, study, plan, executor, ResourceLimits(jobs), round_view), study, before

    return run


def test_trials_run_in_rounds_until_all_have_ended(search: Any, tmp_path: Path) -> None:
    executor = Pretended()
    runs, rounds, study, before = search(executor)
    assert executor.rounds == [["trial-1", "trial-2"], ["trial-3", "trial-4"], ["trial-5", "trial-6"]]
    assert before == [0, 2, 4] and len(rounds) == 3 and len(runs) == 6
    assert (tmp_path / FILE).exists()
    best = max(study._study.trials, key=lambda trial: trial.value)
    assert best.value == pytest.approx(100 * best.params[RATE])
    again = Pretended()
    assert len(search(again)[0]) == 6 and again.rounds == []  # nothing is left to do


def test_the_mean_over_other_axes_counts(search: Any) -> None:
    seeds = tuple(Point("seed", f"seed={n}", {"seed": n}, "") for n in (0, 1))
    runs, _, study, _ = search(Pretended(), {"seed": seeds})
    assert len(runs) == 12 and len(study.finished()) == 6


def test_a_run_that_falls_behind_is_stopped(search: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "committed", lambda out, after: [(1, 50.0)] if after < 1 else [])
    monkeypatch.setattr(Study, "falls_behind", lambda self, trial, epoch, accuracy: trial.number == 3)
    _, rounds, study, _ = search(Pretended())
    assert [progress.counts()["stopped"] for progress in rounds] == [0, 1, 0]
    assert [trial.number for trial in study.finished()] == [1, 2, 4, 5, 6] and study.ended() == 6


def test_one_trial_is_drawn_to_check_the_grid() -> None:
    grid = Grid(Path("g.toml"), "", Point("", "", {}, "[each]"), {}, SEARCH)
    [point] = example(grid, SEARCH).axes["trial"]
    assert point.options["batch_size"] in (32, 64)
    assert trials_grid(grid, SEARCH, [Trial(6, {RATE: 0.1})]).axes["trial"][0].name == "trial-6"
