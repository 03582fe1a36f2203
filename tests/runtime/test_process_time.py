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


def test_without_proc_it_counts_from_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(self: Path) -> str:
        raise OSError

    monkeypatch.setattr(Path, "read_text", unreadable)
    assert 0 <= process_time.seconds_since_start() <= time.monotonic() - process_time._IMPORTED
