"""The local executor divides the machine among processes; the executor contract tests the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ffprobe
from ffprobe.plugin.registry import Registry

SCRIPT = f"""#!{sys.executable}
import os, sys, time
print(os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ["OMP_NUM_THREADS"], *sys.argv[1:], flush=True)
time.sleep(30 if "long" in sys.argv else 0.5)
if "die" in sys.argv:
    os.kill(os.getpid(), 9)
sys.exit(3 if "wrong" in sys.argv else 0)
"""


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The executor, with a program instead of Python that prints its environment and arguments."""
    program = tmp_path / "program"
    program.write_text(SCRIPT)
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    return Registry().component("executor", "local")()


def jobs(tmp_path: Path, *words: str) -> list[ffprobe.Job]:
    return [
        ffprobe.Job(f"{i}", (word,), tmp_path / f"{i}.h5", tmp_path / "logs" / f"{i}.log", tmp_path)
        for i, word in enumerate(words)
    ]


def logs(jobs: list[ffprobe.Job]) -> list[str]:
    return [job.log.read_text().strip() for job in jobs]


def max_concurrent(events: list[ffprobe.JobEvent]) -> int:
    running = most = 0
    for event in events:
        running += 1 if event.state == "running" else -1
        most = max(most, running)
    return most


def test_gpus_and_cores_are_divided_among_runs(local: Any, tmp_path: Path) -> None:
    todo = jobs(tmp_path, *"abcdef")
    limits = ffprobe.ResourceLimits(gpus=("3", "7"), jobs_per_gpu=2)
    events = [event for event in local.run_jobs(todo, limits) if event]
    words = [text.split() for text in logs(todo)]
    assert [word[0] for word in words[:4]] == ["3", "7", "3", "7"]
    assert {word[0] for word in words[4:]} <= {"3", "7"}
    assert {word[1] for word in words} == {"2"}  # eight cores, four at a time
    assert [word[2:] for word in words] == [["-m", "ffprobe", letter] for letter in "abcdef"]
    assert max_concurrent(events) == 4


def test_several_processes_for_each_run(local: Any, tmp_path: Path) -> None:
    several = type(local)(local.Params(processes=2))
    (alone,) = todo = jobs(tmp_path, "a")
    list(several.run_jobs(todo, ffprobe.ResourceLimits(jobs=2)))
    torchrun = "-m torch.distributed.run --standalone --nproc-per-node=2 -m ffprobe a"
    assert alone.log.read_text().strip() == f"None 2 {torchrun}"  # eight cores for two runs of two processes
    todo = jobs(tmp_path / "cards", "a", "b", "c")
    events = [e for e in several.run_jobs(todo, ffprobe.ResourceLimits(gpus=("0", "1", "2", "3", "4"))) if e]
    assert {text.split()[0] for text in logs(todo)} == {"0,1", "2,3"}
    assert max_concurrent(events) == 2
    with pytest.raises(ffprobe.UsageError, match="2 processes, but --gpus names 1"):
        next(several.run_jobs(todo, ffprobe.ResourceLimits(gpus=("0",))))


@pytest.mark.parametrize(
    ("limits", "most", "threads"),
    [
        (ffprobe.ResourceLimits(), 1, "8"),
        (ffprobe.ResourceLimits(jobs=3), 3, "2"),
        (ffprobe.ResourceLimits(jobs=1, gpus=("0", "1")), 1, "8"),
        (ffprobe.ResourceLimits(jobs=9, gpus=("0",), jobs_per_gpu=2), 2, "4"),
    ],
)
def test_number_of_concurrent_runs(
    local: Any, tmp_path: Path, limits: ffprobe.ResourceLimits, most: int, threads: str
) -> None:
    todo = jobs(tmp_path, *"abcd")
    assert max_concurrent([event for event in local.run_jobs(todo, limits) if event]) == most
    assert {text.split()[1] for text in logs(todo)} == {threads}


def test_the_reason_of_a_failure_is_reported(local: Any, tmp_path: Path) -> None:
    events = [
        event
        for event in local.run_jobs(jobs(tmp_path, "wrong", "die", "well"), ffprobe.ResourceLimits(jobs=3))
        if event
    ]
    ends = {event.job.name: (event.state, event.why) for event in events if event.state != "running"}
    assert ends == {"0": ("failed", "exit code 3"), "1": ("failed", "ended by SIGKILL"), "2": ("finished", "")}


def test_output_is_appended_to_the_log(local: Any, tmp_path: Path) -> None:
    todo = jobs(tmp_path, "a")
    for _ in range(2):
        list(local.run_jobs(todo, ffprobe.ResourceLimits()))
    assert len(logs(todo)[0].splitlines()) == 2


def test_one_job_is_stopped_and_the_others_go_on(local: Any, tmp_path: Path) -> None:
    long, short = todo = jobs(tmp_path, "long", "short")
    assert not local.stop(long)  # nothing runs yet
    ends = {}
    for event in local.run_jobs(todo, ffprobe.ResourceLimits(2)):
        if event and event.state == "running" and event.job is short:
            while not long.log.read_text():  # the interpreter ignores no signal from here on
                pass
            assert local.stop(long)
        elif event and event.state != "running":
            ends[event.job.name] = event.state
    assert ends == {"0": "failed", "1": "finished"}  # the sweep calls what it stopped itself "stopped"


GRID = """
[each]
preset = "vanilla-ff"
dataset = "digits"
epochs = 1
batch-size = 32
network.width = 0.05
training.max_images = 96
set = {probes = [], "parallel" = "layers"}

[axes]
seed = [0]
"""


@pytest.mark.slow  # torchrun, and two processes that import torch
def test_a_sweep_trains_each_run_in_two_processes(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(GRID)
    words = ["sweep", "grid.toml", "--out", "runs", "--jobs", "1", "--executor", "local:processes=2"]
    done = subprocess.run(
        [sys.executable, "-m", "ffprobe", *words], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    log = "".join(path.read_text() for path in tmp_path.glob("runs/logs/*.log"))
    assert done.returncode == 0, done.stderr + log
    with ffprobe.open(tmp_path / "runs" / "seed=0.h5") as run:
        assert run.attributes["processes"] == 2
        assert "placement" in run.attributes
