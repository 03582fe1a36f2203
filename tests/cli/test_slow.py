"""A command that takes longer than two seconds says on stderr what it is doing."""

from __future__ import annotations

import io
import sys
import time

import pytest

from ffprobe.cli import slow
from ffprobe.cli.slow import shown_if_slow


def test_a_log_gets_one_line_with_what_is_done_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow, "SECONDS", 0.05)
    with shown_if_slow("Searching") as update:
        update("Reading \x1b[31m1 of 2")
        for _ in range(200):
            time.sleep(0.05)
            if err := capsys.readouterr().err:
                break
        update("Reading 2 of 2")
    assert err == "Reading \\x1b[31m1 of 2 ...\n"
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_line_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(slow, "SECONDS", 0.01)
    with shown_if_slow("Searching"):
        for _ in range(200):
            time.sleep(0.05)
            if "Searching ..." in stream.getvalue():
                break
    assert "Searching ..." in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[?25h\r\x1b[1A\x1b[2K")  # cursor shown again, line erased


def test_quick_work_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="as it was"), shown_if_slow("Searching"):
        raise ValueError("as it was")
    assert capsys.readouterr() == ("", "")
