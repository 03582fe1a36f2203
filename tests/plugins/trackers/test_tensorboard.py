"""The tracker tensorboard, read with TensorBoard's own reader of events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tracked_runs import MISSING, accuracy, interrupt_and_resume, losses, start

pytest.importorskip("tensorboard", reason=MISSING)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def events(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def scalars(found: Any, name: str) -> dict[int, float]:
    """The values of a scalar by epoch."""
    return {event.step: event.value for event in found.Scalars(name)}


def text(found: Any, name: str) -> str:
    return str(found.Tensors(f"{name}/text_summary")[0].tensor_proto.string_val[0].decode())


def test_a_run(tmp_path: Path) -> None:
    start(tmp_path / "run.h5", "tensorboard:group=g,directory=logs").run()
    found = events(tmp_path / "logs/runs/ffprobe/g/run")
    assert scalars(found, "loss/layer 2") == pytest.approx(dict(enumerate(losses(tmp_path / "run.h5"), 1)))
    assert scalars(found, "final/test_accuracy/model") == pytest.approx({2: accuracy(tmp_path / "run.h5")})
    assert json.loads(text(found, "config").strip("`json\n"))["network"]["name"] == "tiny"
    assert f"run_file: {tmp_path}/run.h5" in text(found, "run")


def test_a_resumed_run_continues_in_its_directory(tmp_path: Path) -> None:
    interrupt_and_resume(tmp_path / "run.h5", "tensorboard")
    (folder,) = (tmp_path / "runs/ffprobe").iterdir()
    expected = dict(enumerate(losses(tmp_path / "run.h5"), 1))
    assert scalars(events(folder), "loss/layer 2") == pytest.approx(expected)


def test_names_lead_to_no_other_directory_and_no_run_into_that_of_another(tmp_path: Path) -> None:
    for _ in range(2):
        start(tmp_path / "run.h5", "tensorboard:project=../../up,run_name=/etc/x").run()
        (tmp_path / "run.h5").unlink()
    assert sorted(path.name for path in (tmp_path / "runs/-..-up").iterdir()) == ["-etc-x", "-etc-x-2"]
