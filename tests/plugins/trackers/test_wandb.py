"""The tracker wandb with the real library, offline: what its file contains."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tracked_runs import MISSING, accuracy, interrupt_and_resume, losses, start

import ffprobe

wandb = pytest.importorskip("wandb", reason=MISSING)


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    wandb.teardown()  # it reads the environment once in a process


def records(path: Path) -> Iterator[Any]:
    """The records of a .wandb file: protocol buffers in the log format of LevelDB, in blocks of 32 KiB."""
    from wandb.proto import wandb_internal_pb2

    data, position, parts = path.read_bytes(), 7, b""
    while position < len(data):
        if (left := 32768 - position % 32768) < 7:
            position += left
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        parts += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def read(path: Path) -> dict[str, Any]:
    """Run, config, history and exit code of a .wandb file."""
    found: dict[str, Any] = {"history": []}
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found["run"] = record.run
            found["config"] = {item.key: json.loads(item.value_json) for item in record.run.config.update}
        elif kind == "history":
            found["history"].append({"/".join(i.nested_key): json.loads(i.value_json) for i in record.history.item})
        elif kind == "exit":
            found["exit"] = record.exit.exit_code
    return found


def test_a_run_offline(tmp_path: Path) -> None:
    start(tmp_path / "run.h5", "wandb:project=p,group=g", preset="trifecta").run()
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    found = read(file)
    assert (found["run"].project, found["run"].run_group, found["run"].display_name) == ("p", "g", "run")
    assert {"digits", "trifecta", "tiny"} <= set(found["run"].tags)
    assert found["config"]["network"]["name"] == "tiny"
    assert found["config"]["run_file"] == str(tmp_path / "run.h5")
    epochs = {row["_step"]: row for row in found["history"]}
    assert [epochs[step]["loss/layer 2"] for step in (1, 2)] == pytest.approx(losses(tmp_path / "run.h5"))
    assert epochs[2]["final/test_accuracy/model"] == pytest.approx(accuracy(tmp_path / "run.h5"))
    assert "validation_accuracy/model" in epochs[1]
    assert found["exit"] == 0


def test_a_resumed_run_keeps_its_id(tmp_path: Path) -> None:
    interrupt_and_resume(tmp_path / "run.h5", "wandb")
    first, second = map(read, sorted(tmp_path.glob("wandb/offline-run-*/*.wandb"), key=lambda p: p.stat().st_mtime))
    assert first["run"].run_id == second["run"].run_id
    assert (first["exit"], second["exit"]) == (1, 0)
    history = [row["loss/layer 2"] for row in (*first["history"], *second["history"])]
    assert history == pytest.approx(losses(tmp_path / "run.h5"))


def test_online_without_an_account_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(ffprobe.UsageError, match="has no account on this machine") as caught:
        start(tmp_path / "run.h5", "wandb:mode=online")
    assert "wandb login" in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_a_server_that_does_not_answer_leaves_the_run_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    wandb.teardown()  # it reads the environment once in a process
    monkeypatch.setattr("ffprobe_plugins.trackers.wandb.PATIENCE", 1.0)
    start(tmp_path / "run.h5", "wandb").run()
    assert "the run is kept on this machine" in caplog.text
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    assert len(losses(tmp_path / "run.h5")) == len({row["_step"] for row in read(file)["history"]})
