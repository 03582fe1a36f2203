"""``ffprobe sweep`` as a user calls it: a plan, a sweep, a failure, an interruption, and calling it again."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cli.program import ffprobe
from plugin_files import normalizer, write
from warm import start

GRID = """
out = "runs"
[each]
epochs = 2
network = "tiny"
training.max_images = 100
set = {probes = []}
[axes]
seed = [0, 1]
[axes.plugins]
none = {}
olu = {plugin = "olu"}
"""


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    path = tmp_path / "grid.toml"
    path.write_text(GRID)
    return path


def test_a_sweep_from_plan_to_end(grid: Path, tmp_path: Path) -> None:
    plan = ffprobe("sweep", "grid.toml", "--dry-run", cwd=tmp_path)
    assert plan.code == 0, plan.err
    lines = plan.out.splitlines()
    assert [shlex.split(line)[:2] for line in lines] == [["ffprobe", "run"]] * 4
    assert "--plugin olu" in lines[3] and "--seed 1 --out runs/seed=1_olu.h5 --resume" in lines[3]
    assert "4 runs: 4 new, 0 unfinished, 0 running, 0 finished." in plan.err
    assert not (tmp_path / "runs").exists()
    # a printed line is a command: the sweep finds its file finished
    (tmp_path / "runs").mkdir()
    assert ffprobe(*shlex.split(lines[0])[1:], cwd=tmp_path).code == 0
    swept = ffprobe("sweep", "grid.toml", "--jobs", "2", cwd=tmp_path)
    assert swept.code == 0, swept.err
    assert sorted(path.name for path in (tmp_path / "runs").glob("*.h5*")) == [
        "seed=0_none.h5",
        "seed=0_olu.h5",
        "seed=1_none.h5",
        "seed=1_olu.h5",
    ]
    assert "seed=0_none: started" not in swept.err
    assert "seed=1_olu: finished after" in swept.err
    assert "4 of 4 runs in runs are finished, 1 of them already before this sweep." in swept.err
    assert "epoch 2/2" in (tmp_path / "runs" / "logs" / "seed=1_olu.log").read_text()
    again = ffprobe("sweep", "grid.toml", "--json", cwd=tmp_path)
    assert (again.code, {run["status"] for run in again.json["runs"]}) == (0, {"finished"})


def test_a_run_that_fails_is_reported_with_its_log_and_stops_no_other(tmp_path: Path) -> None:
    write(tmp_path, normalizer("raise SystemExit('boom')"))
    (tmp_path / "grid.toml").write_text(GRID.replace('"olu"}', '"./mine.py"}').replace("[0, 1]", "[0]"))
    done = ffprobe("sweep", "grid.toml", "--jobs", "2", "--trust", "--json", cwd=tmp_path)
    assert done.code == 1
    document, _ = json.JSONDecoder().raw_decode(done.out)
    assert sorted(one["name"] for one in document["failed"]) == ["seed=0_olu"]
    assert all(Path(tmp_path, one["log"]).exists() and "boom" in one["error"] for one in document["failed"])
    states = {run["name"]: run["status"] for run in document["runs"]}
    assert states == {"seed=0_none": "finished", "seed=0_olu": "new"}
    assert json.loads(done.err.splitlines()[-1])["what"] == "1 of 2 runs failed."


def test_an_interrupted_sweep_stops_its_runs_and_resumes_them_when_called_again(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(GRID.replace("epochs = 2", "epochs = 400").replace("[0, 1]", "[0]"))
    words = [*start.program(), "sweep", "grid.toml", "--jobs", "2"]
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    logs = [tmp_path / "runs" / "logs" / f"seed=0_{scheduler}.log" for scheduler in ("none", "olu")]
    until = time.monotonic() + 60
    while not all(log.exists() and "epoch 3/400" in log.read_text() for log in logs):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, output = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, output
    assert "Interrupted; the runs in progress were stopped." in " ".join(output.split())
    partial = tmp_path / "runs" / "seed=0_none.h5.partial"
    assert partial.exists()
    plan = ffprobe("sweep", "grid.toml", "--dry-run", cwd=tmp_path)
    assert "2 runs: 0 new, 2 unfinished, 0 running, 0 finished." in plan.err


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["nowhere.toml"], 4, "cannot be read"),
        (["grid.toml", "--executor", "clowd"], 3, "no executor 'clowd'"),
        (["grid.toml", "--executor", "local:grade=3"], 2, "no setting 'grade'"),
        (["grid.toml", "--executor", "olu"], 3, "'olu' is a scheduler"),
        (["grid.toml", "--jobs", "-1"], 2, "'--jobs'"),
    ],
)
def test_invalid_arguments(grid: Path, tmp_path: Path, words: list[str], code: int, sentence: str) -> None:
    done = ffprobe("sweep", *words, cwd=tmp_path)
    assert done.code == code
    assert sentence in " ".join(done.err.split())
    assert not (tmp_path / "runs").exists()


def test_an_executor_cannot_be_part_of_a_run(tmp_path: Path) -> None:
    done = ffprobe("run", "--plugin", "local", cwd=tmp_path)
    assert done.code == 2
    assert "ffprobe sweep GRID.toml --executor NAME" in " ".join(done.err.split())
