"""``ffprobe sweep --executor slurm`` against a real SLURM: a whole sweep, a requeued run, a killed one, a Ctrl-C."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli.program import ffprobe

from ffprobe.testing import check_plugin

pytestmark = [pytest.mark.stress, pytest.mark.usefixtures("slurm")]
EXECUTOR = "slurm:cores=1,memory=2,every=1"


def test_it_keeps_the_contract() -> None:
    report = check_plugin("slurm", settings={"cores": 1, "memory": 2, "every": 1})
    assert report.passed, str(report)
    assert not [finding for finding in report.findings if finding.status == "skipped"], str(report)


def test_a_sweep_from_plan_to_end(grid: Path, tmp_path: Path) -> None:
    done = ffprobe("sweep", "grid.toml", "--executor", EXECUTOR, "--jobs", "2", cwd=tmp_path, timeout=300)
    assert done.code == 0, done.err
    assert len(list((tmp_path / "runs").glob("*.h5"))) == 4
    assert re.search(r"seed=0_none: queued as \d+_0", done.err)
    assert "seed=1_olu: finished after" in done.err
    assert "epoch 2/2" in (tmp_path / "runs" / "logs" / "seed=1_olu.log").read_text()


def test_what_sbatch_refuses_is_told(grid: Path, tmp_path: Path) -> None:
    done = ffprobe("sweep", "grid.toml", "--executor", "slurm:partition=nowhere", cwd=tmp_path)
    assert done.code == 2
    assert "SLURM rejected the jobs" in done.err and "invalid partition" in done.err


def began(tmp_path: Path, *words: str) -> subprocess.Popen[str]:
    (tmp_path / "long.toml").write_text(
        'out = "runs"\n[each]\nepochs = 300\nnetwork = "tiny"\ntraining.images = 200\nset = {probes = []}\n'
        "[axes]\nseed = [0]\n"
    )
    command = [sys.executable, "-m", "ffprobe", "sweep", "long.toml", "--executor", EXECUTOR, *words]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    until(lambda: "epoch 3/300" in log(tmp_path), process)
    return process


def log(tmp_path: Path) -> str:
    path = tmp_path / "runs" / "logs" / "seed=0.log"
    return path.read_text() if path.exists() else ""


def until(holds: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 120) -> None:
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit and process.poll() is None
        time.sleep(0.2)


def job_id() -> str:
    return subprocess.run(["squeue", "-h", "-o", "%A"], capture_output=True, text=True, check=True).stdout.split()[0]


def test_a_run_that_slurm_preempts_goes_on_later(tmp_path: Path) -> None:
    """Before a job loses its node it gets SIGUSR2; it is then queued again, and the run resumed."""
    process = began(tmp_path)
    subprocess.run(["scancel", "--signal=USR2", job_id()], check=True)
    # SLURM lets a job that was queued again wait two minutes
    until(lambda: "Going on after epoch" in log(tmp_path), process, 400)
    subprocess.run(["scancel", job_id()], check=True)
    process.communicate(timeout=120)


def test_a_run_that_is_killed_has_failed(tmp_path: Path) -> None:
    process = began(tmp_path)
    subprocess.run(["scancel", "--signal=KILL", "--full", job_id()], check=True)
    _, told = process.communicate(timeout=180)
    assert process.returncode == 1
    assert "1 of 1 runs failed." in told


def test_an_interrupted_sweep_leaves_the_queue(tmp_path: Path) -> None:
    process = began(tmp_path)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130, told
    assert subprocess.run(["squeue", "-h"], capture_output=True, text=True, check=True).stdout == ""
    assert "0 new, 1 unfinished" in ffprobe("sweep", "long.toml", "--dry-run", cwd=tmp_path).err
