"""A list of runs: what is read of each file, whatever its state."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import h5py
import pytest
from analysis.runs.listed_files import NAN, begin, finished, interrupted

import ffprobe
from ffprobe.analysis.runs import listing
from ffprobe.analysis.runs.listing import ListedRun, list_run, list_runs, sort_runs
from ffprobe.errors import FileError, UsageError


def test_a_finished_run_by_its_test_accuracy(tmp_path: Path) -> None:
    path = finished(tmp_path / "a.h5", preset="trifecta", network="tiny", seed=3, test=0.75)
    run = list_run(path)
    assert (run.state, run.accuracy, run.part, run.epochs, run.planned) == ("finished", 75, "test", 3, 4)
    assert (run.preset, run.changes, run.seed, run.label) == ("trifecta", ("tiny",), 3, "trifecta+tiny")
    assert (run.components["loss"], run.size) == ("symba", path.stat().st_size)
    assert run.began == 1767323045  # 2026-01-02T03:04:05Z
    untested = list_run(finished(tmp_path / "b.h5", validation=0.5))
    assert (untested.accuracy, untested.part) == (50, "validation")


def test_an_unfinished_run_by_its_last_evaluation(tmp_path: Path) -> None:
    with begin(tmp_path / "a.h5", measured=(0.25, 0.5, NAN)):
        live = list_run(tmp_path / "a.h5.partial")
    dead = list_run(tmp_path / "a.h5.partial")
    assert (live.state, dead.state) == ("running", "interrupted")
    assert (live.accuracy, live.part, live.epochs) == (50, "validation", 3)
    never = list_run(interrupted(tmp_path / "b.h5", measured=()))
    assert (never.epochs, math.isnan(never.accuracy)) == (0, True)


def test_the_last_evaluation_may_be_many_epochs_ago(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "ROWS", 2)
    path = interrupted(tmp_path / "a.h5", measured=(0.1, 0.5, NAN, NAN, NAN, NAN))
    assert list_run(path).accuracy == 50


def test_a_run_that_finishes_in_between(tmp_path: Path) -> None:
    path = finished(tmp_path / "a.h5")
    assert list_run(tmp_path / "a.h5.partial").path == path


def foreign(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = [1, 2]


def newer(path: Path) -> None:
    finished(path)
    with h5py.File(path, "r+") as file:
        file.attrs["ffprobe_format"] = 99


def cut(path: Path) -> None:
    finished(path)
    path.write_bytes(path.read_bytes()[:20_000])


def config(path: Path) -> None:
    finished(path)
    with h5py.File(path, "r+") as file:
        file.attrs["config_json"] = "[1"


def text_for_a_number(path: Path) -> None:
    finished(path)
    with h5py.File(path, "r+") as file:
        del file["final/model_test_accuracy"]
        file["final/model_test_accuracy"] = "high"


@pytest.mark.parametrize(
    ("spoil", "state", "reason"),
    [
        (foreign, "unreadable", "not written by ffprobe"),
        (newer, "unreadable", "has format 99"),
        (cut, "damaged", "truncated"),
        (lambda path: path.write_text("hello"), "damaged", "not an HDF5 file"),
        (config, "damaged", "not valid JSON"),
        (text_for_a_number, "damaged", "cannot be read"),
    ],
)
def test_a_bad_file_is_an_entry_with_its_reason(tmp_path: Path, spoil: object, state: str, reason: str) -> None:
    spoil(tmp_path / "bad.h5")  # type: ignore[operator]
    finished(tmp_path / "good.h5")
    bad, good = list_runs(tmp_path)
    assert (bad.state, good.state) == (state, "finished")
    assert reason in bad.reason
    assert bad.to_dict()["reason"] == bad.reason
    assert bad.to_dict()["epochs"] is None
    assert bad.began == (tmp_path / "bad.h5").stat().st_mtime


def test_unusual_finished_files_are_opened_in_full(tmp_path: Path) -> None:
    """Each is one that the first look refuses; the numbers are those of ``open_run``."""
    path = finished(tmp_path / "a.h5", test=0.75)
    with h5py.File(path, "r+") as file:
        file["commit/checksum"][-1] = 0  # the last commit does not count
    assert (list_run(path).epochs, list_run(path).accuracy) == (2, 75)
    shutil.copy(finished(tmp_path / "other.h5", test=0.1), tmp_path / "b.h5")
    with h5py.File(tmp_path / "b.h5", "r+") as file:
        del file["final/model_test_accuracy"]
        file["final/model_test_accuracy"] = h5py.ExternalLink("a.h5", "final/model_test_accuracy")
    assert (list_run(tmp_path / "b.h5").accuracy, list_run(tmp_path / "b.h5").part) == (50, "validation")


def test_a_wrong_time_is_that_of_the_file(tmp_path: Path) -> None:
    run = list_run(finished(tmp_path / "a.h5", created="yesterday"))
    assert run.age() < 100
    future = list_run(finished(tmp_path / "b.h5", created="2999-01-01T00:00:00Z"))
    assert future.age() == 0


def runs(**of: list[object]) -> list[ListedRun]:
    rows = [dict(zip(of, values, strict=True)) for values in zip(*of.values(), strict=True)]
    return [ListedRun(**{"path": Path(f"{i}.h5"), "state": "finished", **row}) for i, row in enumerate(rows)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sort", "values", "order"),
    [
        ("accuracy", {"accuracy": [50.0, NAN, 90.0]}, [2, 0, 1]),
        ("age", {"began": [1.0, 3.0, NAN]}, [1, 0, 2]),
        ("epochs", {"epochs": [2, 9, 7], "reason": ["", "bad", ""]}, [2, 0, 1]),
        ("size", {"size": [1, 3, 2]}, [1, 2, 0]),
        ("state", {"state": ["finished", "running", "damaged"]}, [1, 2, 0]),
        ("name", {"path": [Path("s-10.h5"), Path("s-9.h5"), Path("a.h5")]}, [2, 1, 0]),
    ],
)
def test_orders(sort: str, values: dict[str, list[object]], order: list[int]) -> None:
    listed = runs(**values)
    assert [listed.index(run) for run in sort_runs(listed, sort)] == order
    backwards = [listed.index(run) for run in sort_runs(listed, sort, reverse=True)]
    last = sort in ("accuracy", "age", "epochs")  # what is unknown stays last
    assert backwards == (order[:2][::-1] + order[2:] if last else order[::-1])


def test_public_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished(tmp_path / "a.h5", test=0.2)
    finished(tmp_path / "sub" / "b.h5", test=0.9)
    monkeypatch.chdir(tmp_path)
    assert [run.path.name for run in ffprobe.list_runs()] == ["a.h5", "b.h5"]
    assert [run.path.name for run in ffprobe.list_runs("a.h5", "sub", sort="accuracy")] == ["b.h5", "a.h5"]
    with pytest.raises(UsageError, match="accuracy"):
        ffprobe.list_runs(sort="acuracy")
    with pytest.raises(FileError):
        ffprobe.list_runs("nowhere")


def test_finished_runs_are_not_opened_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes four times as long, which is too long for a thousand runs."""
    path = finished(tmp_path / "a.h5", test=0.75)
    monkeypatch.setattr("ffprobe.store.reader.open_run", lambda *_, **__: pytest.fail("opened"))
    assert list_run(path).accuracy == 75
