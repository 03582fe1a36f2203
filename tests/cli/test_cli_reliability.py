"""What can go wrong around a run file, as a user meets it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli.program import ffprobe
from toy import WORDS

import ffprobe as library

LONG = [*WORDS, "--epochs", "100000", "--set", "training.num_evaluations=1"]


@pytest.fixture
def running(tmp_path: Path):  # type: ignore[no-untyped-def]
    """A run that goes on until the test is over, past its second commit."""
    command = [sys.executable, "-m", "ffprobe", "run", *LONG]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch 3/"):
                break
        yield process
        process.kill()


def test_two_runs_into_one_file(tmp_path: Path, running: subprocess.Popen[str]) -> None:
    for words in ([], ["--overwrite"], ["--resume"]):
        done = ffprobe("run", *WORDS, *words, cwd=tmp_path)
        assert done.code in (2, 4), done.err
        assert "Traceback" not in done.err
    assert running.poll() is None
    with library.open(tmp_path / "run.h5.partial") as run:
        assert run.epochs >= 2


def test_an_analysis_reads_the_committed_part_of_a_live_run(tmp_path: Path, running: subprocess.Popen[str]) -> None:
    done = ffprobe("analyze", "layers", "run.h5.partial", "--json", cwd=tmp_path)
    # nothing was evaluated yet in this run, and the error says so; the file itself is readable
    assert done.code in (0, 4), done.err
    shown = ffprobe("show", "run.h5.partial", "--json", cwd=tmp_path)
    assert shown.json["complete"] is False
    assert shown.json["epochs"] >= 2
    assert running.poll() is None


def test_repair_refuses_a_live_run_and_mends_a_killed_one(tmp_path: Path, running: subprocess.Popen[str]) -> None:
    assert ffprobe("repair", "run.h5.partial", cwd=tmp_path).code == 4
    running.send_signal(signal.SIGKILL)
    running.wait()
    done = ffprobe("repair", "run.h5.partial", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "repaired, " in done.err
    missing = ffprobe("analyze", "layers", "run.h5", cwd=tmp_path)
    assert missing.code == 4
    assert "repair" in missing.err and "--resume" in missing.err


def test_a_full_disk_is_reported_and_earlier_commits_stay(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        words = ["--set", "probes=[]", "--set", "training.num_evaluations=100000", "--out", "disk/run.h5"]
        done = ffprobe("run", *LONG, *words, cwd=tmp_path)
        assert done.code == 4, done.err
        assert "space" in done.err.lower()
        assert "Traceback" not in done.err
        with library.open(disk / "run.h5.partial") as run:
            assert run.epochs >= 1
            assert run.read("metrics/loss").shape[0] == run.epochs
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_folder_that_is_deleted_during_a_run_is_reported(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    command = [sys.executable, "-m", "ffprobe", "run", *LONG, "--out", "out/run.h5"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch 2/"):
                break
        while (tmp_path / "out").exists():  # the run may write its checkpoint between two steps of the removal
            with contextlib.suppress(OSError):
                shutil.rmtree(tmp_path / "out")
        err = process.stderr.read()
    assert process.returncode == 4
    # found out by the commit, or where the folder goes a moment later, by the checkpoint
    assert "was deleted or replaced" in err or "checkpoint could not be written" in err
    assert "Traceback" not in err


def test_a_reader_goes_on_reading_during_a_repair(tmp_path: Path, running: subprocess.Popen[str]) -> None:
    running.kill()
    running.wait()
    with library.open(tmp_path / "run.h5.partial") as run:
        before = run.read("metrics/loss")
        assert ffprobe("repair", "run.h5.partial", cwd=tmp_path).code == 0
        assert (run.read("metrics/loss") == before).all()
    with library.open(tmp_path / "run.h5.partial") as run:
        assert (run.read("metrics/loss") == before).all()


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    done = ffprobe("run", *WORDS, "--out", "gone/run.h5", cwd=tmp_path)
    assert done.code == 4
    assert "gone" in done.err


def test_resume_from_the_command_line(tmp_path: Path) -> None:
    words = ["run", "--preset", "trifecta", *WORDS]
    whole = ffprobe(*words, "--out", "whole.h5", "--json", cwd=tmp_path).json
    again = ffprobe(*words, "--out", "whole.h5", "--resume", cwd=tmp_path)
    assert again.code == 0
    assert "already complete; nothing to resume" in again.err
    started = ffprobe(*words, "--out", "new.h5", "--resume", "--json", cwd=tmp_path)
    assert started.json["test_accuracy"] == whole["test_accuracy"]
