"""The time of a process counts from its start, not from the first import."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from ffprobe.runtime import process_time


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell when a process began")
def test_time_before_the_import_counts() -> None:
    code = (
        "import time; time.sleep(0.5); from ffprobe.runtime.process_time import seconds_since_start;"
        "print(seconds_since_start())"
    )
    began = time.monotonic()
    seconds = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert 0.5 <= seconds <= time.monotonic() - began + 0.02  # the system counts in hundredths


def test_without_proc_it_counts_from_the_import(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # only what this module reads: the whole process needs Path.read_text
    monkeypatch.setattr(process_time, "Path", lambda name: tmp_path / "missing")
    monkeypatch.setattr(process_time, "_IMPORTED", time.monotonic() - 5)
    assert process_time.seconds_since_start() == pytest.approx(5, abs=1)
