"""How findings are printed: wrapped on a terminal, one line each in a log."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from ffprobe.analysis.runs.diagnosis import Finding
from ffprobe.cli.findings import print_findings

WHAT = "Layer 1 alone classifies 86 % of the images correctly."
FINDING = Finding(WHAT, "Later layers forget.", "ffprobe run --lr 1")


@pytest.mark.parametrize("terminal", [True, False])
def test_symptom_cause_and_command(terminal: bool) -> None:
    console = Console(file=io.StringIO(), width=40, force_terminal=terminal, color_system=None)
    print_findings(console, [FINDING])
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[-2:] == ["  Later layers forget.", "  Try: ffprobe run --lr 1"]
    if not terminal:
        assert lines[0] == f"look: {WHAT}"
    else:
        assert len(lines) == 4
