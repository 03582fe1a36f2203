"""The trackers of docs/plugins/trackers.md, with fakes of their libraries, and with the libraries where installed."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from docs.page_blocks import ROOT, blocks

import ffprobe
from ffprobe.testing import ToyRun, toy_run

MISSING = "not a dependency; this test runs where it is installed"
TRACKERS = {block.what: block.text for block in blocks(ROOT / "docs/plugins/trackers.md") if block.special == "file"}


def train(name: str, folder: Path) -> ToyRun:
    (folder / name).write_text(TRACKERS[name])
    return toy_run(str(folder / name), out=folder / "run.h5")


def loss_of(run: ToyRun) -> list[float]:
    """The second layer's loss, epoch by epoch."""
    with run.open() as file:
        return [float(value) for value in file.read("metrics/loss")[:, 1]]


@pytest.mark.parametrize(("name", "library"), [("wandb_log.py", "wandb"), ("mlflow_log.py", "mlflow")])
def test_a_missing_library_is_an_error_before_the_run(
    name: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ffprobe.PluginError, match=f"pip install {library}"):
        train(name, tmp_path)
    assert not (tmp_path / "run.h5.partial").exists()


def test_wandb_receives_every_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, Any]] = []
    tracked = SimpleNamespace(
        log=lambda values, step: calls.append(("log", (step, values))),
        finish=lambda exit_code: calls.append(("finish", exit_code)),
    )
    library = ModuleType("wandb")
    library.init = lambda **words: calls.append(("init", words)) or tracked  # type: ignore[attr-defined,func-returns-value]
    monkeypatch.setitem(sys.modules, "wandb", library)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    run = train("wandb_log.py", tmp_path)
    assert run.messages == ()
    assert [kind for kind, _ in calls] == ["init", "log", "log", "finish"]
    assert calls[0][1]["mode"] == "offline"
    assert calls[0][1]["config"]["network"]["name"] == "tiny"
    assert [values["loss/layer 2"] for _, values in (what for kind, what in calls if kind == "log")] == pytest.approx(
        loss_of(run)
    )
    assert calls[-1] == ("finish", 0)


def test_mlflow_receives_every_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []

    class Client:
        def __init__(self, place: str) -> None:
            calls.append(("open", place))

        def get_experiment_by_name(self, name: str) -> None:
            return None

        def create_experiment(self, name: str) -> str:
            return "1"

        def create_run(self, experiment: str) -> Any:
            return SimpleNamespace(info=SimpleNamespace(run_id="r"))

        def __getattr__(self, name: str) -> Any:
            return lambda *words, **more: calls.append((name, *words, *more.values()))

    library = ModuleType("mlflow")
    library.MlflowClient = Client  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", library)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/runs.db")
    run = train("mlflow_log.py", tmp_path)
    assert run.messages == ()
    assert calls[0] == ("open", f"sqlite:///{tmp_path}/runs.db")
    assert ("log_param", "r", "network", "tiny") in calls
    logged = [words[3:] for words in calls if words[:3] == ("log_metric", "r", "loss/layer 2")]
    assert [step for _, step in logged] == [1, 2]
    assert [value for value, _ in logged] == pytest.approx(loss_of(run))
    assert calls[-1] == ("set_terminated", "r", "FINISHED")


def test_real_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason=MISSING)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = train("wandb_log.py", tmp_path)
    assert run.messages == ()
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))


@pytest.mark.parametrize("place", ["sqlite:///{}/runs.db", "{}/mlruns"])
def test_real_mlflow_into_files(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason=MISSING)
    if place.startswith("sqlite"):
        pytest.importorskip("sqlalchemy", reason="mlflow-skinny comes without it")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place.format(tmp_path))
    run = train("mlflow_log.py", tmp_path)
    assert run.messages == ()
    client = mlflow.MlflowClient(place.format(tmp_path))
    (tracked,) = client.search_runs([client.get_experiment_by_name("ffprobe").experiment_id])
    history = client.get_metric_history(tracked.info.run_id, "loss/layer 2")
    assert [metric.value for metric in history] == pytest.approx(loss_of(run))
