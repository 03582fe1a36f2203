"""Trials are ranked by the validation accuracy of their finished runs."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ffprobe.sweep.grid import Point
from ffprobe.sweep.ranking import rank_trials


def run(tmp_path: Path, trial: str, accuracy: float | None, seed: int = 0) -> Any:
    out = tmp_path / f"{trial}_{seed}.h5"
    if accuracy is not None:
        out.write_text(str(accuracy))
    drawn = {"batch_size": 32, "set": {"training.learning_rate": 0.01}}
    points = (Point("trial", trial, drawn, ""), Point("seed", f"seed={seed}", {"seed": seed}, ""))
    return SimpleNamespace(job=SimpleNamespace(out=out), points=points)


@pytest.fixture(autouse=True)
def accuracies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run file of these tests contains only its accuracy."""

    def summarize(path: Path) -> Any:
        return SimpleNamespace(validation=float(path.read_text()))

    monkeypatch.setattr("ffprobe.store.reader.open_run", nullcontext)
    monkeypatch.setattr("ffprobe.analysis.runs.summary.summarize", summarize)


def test_the_best_mean_over_seeds_comes_first(tmp_path: Path) -> None:
    runs = [
        run(tmp_path, "a", 90.0),
        run(tmp_path, "b", 80.0),
        run(tmp_path, "b", 96.0, 1),
        run(tmp_path, "a", 91.0, 1),
    ]
    ranked = rank_trials(runs)
    assert [(trial.name, trial.mean) for trial in ranked] == [("a", 90.5), ("b", 88.0)]
    assert ranked[0].spread == pytest.approx(0.5**0.5)
    assert ranked[0].drawn == {"batch_size": 32, "training.learning_rate": 0.01}
    assert ranked[0].to_dict()["validation_accuracy"] == 0.905


def test_what_is_not_finished_or_not_measured_is_left_out(tmp_path: Path) -> None:
    ranked = rank_trials([run(tmp_path, "a", None), run(tmp_path, "b", float("nan")), run(tmp_path, "c", 50.0)])
    assert [trial.name for trial in ranked] == ["c"]
    assert ranked[0].spread != ranked[0].spread
    assert rank_trials([]) == []
