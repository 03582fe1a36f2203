"""The tracker mlflow with the real library, into an SQLite file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tracked_runs import MISSING, accuracy, interrupt_and_resume, losses, start

import ffprobe

mlflow = pytest.importorskip("mlflow", reason=MISSING)
pytest.importorskip("sqlalchemy", reason="mlflow-skinny comes without it")
pytest.importorskip("alembic", reason="mlflow-skinny comes without it")

# MLflow's own use of SQLAlchemy
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty mlflow.db, which takes seconds to create."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def folder(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").write_bytes(empty.read_bytes())
    return tmp_path


def tracked(folder: Path, project: str = "ffprobe") -> tuple[Any, Any]:
    """The client, and the only run of an experiment."""
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name(project).experiment_id])
    return client, run


def history(client: Any, run: Any, name: str) -> dict[int, float]:
    """The values of a metric by epoch."""
    return {metric.step: metric.value for metric in client.get_metric_history(run.info.run_id, name)}


def test_a_run_in_a_file(folder: Path) -> None:
    start(folder / "run.h5", "mlflow:project=p,group=g,run_name=mine").run()
    client, run = tracked(folder, "p")
    assert (run.info.run_name, run.info.status) == ("mine", "FINISHED")
    assert run.data.params["network.name"] == "tiny"
    assert run.data.tags["ffprobe.dataset"] == "digits" and run.data.tags["group"] == "g"
    assert run.data.tags["ffprobe.run_file"] == str(folder / "run.h5")
    expected = dict(enumerate(losses(folder / "run.h5"), 1))
    assert history(client, run, "loss/layer 2") == pytest.approx(expected)
    assert run.data.metrics["final/test_accuracy/model"] == pytest.approx(accuracy(folder / "run.h5"))


def test_a_resumed_run_is_the_same_run(folder: Path) -> None:
    interrupt_and_resume(folder / "run.h5", "mlflow")
    client, run = tracked(folder)
    assert run.info.status == "FINISHED"
    assert history(client, run, "loss/layer 2") == pytest.approx(dict(enumerate(losses(folder / "run.h5"), 1)))


def test_online_without_an_address_is_refused_before_the_run(folder: Path) -> None:
    with pytest.raises(ffprobe.UsageError, match="MLFLOW_TRACKING_URI is not set"):
        start(folder / "run.h5", "mlflow:mode=online")
    assert not list(folder.glob("run*"))


def test_a_server_that_does_not_answer_does_not_end_the_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    start(folder / "run.h5", "mlflow").run()
    with ffprobe.open(folder / "run.h5") as run:
        ((_, message),) = run.messages()
    assert "mlflow failed in ffprobe_before_run" in message
