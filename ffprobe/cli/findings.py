"""Prints what looks broken in a run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from ffprobe.analysis.runs.diagnosis import Finding


def print_findings(console: Console, findings: Iterable[Finding]) -> None:
    """Print each finding: the symptom, below it the likely cause and the command to try."""
    for finding in findings:
        lines = (f"  {finding.why}", f"  Try: {finding.command}")
        wraps = not console.is_terminal
        console.print(Text.assemble(("look: ", "bold yellow"), finding.what), soft_wrap=wraps)
        for line in lines:
            console.print(Text(line), soft_wrap=wraps)
