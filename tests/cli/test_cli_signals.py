"""SIGTERM and Ctrl-C stop a run after the batch, with everything committed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toy import WORDS

import ffprobe


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_stops_after_the_batch_and_closes_the_file(tmp_path: Path, number: int, code: int) -> None:
    words = [*WORDS, "--epochs", "100000", "--set", "training.num_evaluations=1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ffprobe", "run", *words],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch 3/"):
            break
    time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Stopped in epoch" in err
    assert "Traceback" not in err
    with ffprobe.open(tmp_path / "run.h5.partial") as run:
        assert not run.complete
        assert run.epochs >= 3
        assert len(run.read("steps/step")) >= 4 * run.epochs
    assert not (tmp_path / "run.h5").exists()
