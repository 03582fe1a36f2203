"""What people see on a terminal, kept as files: narrow, usual and wide.

``CAPTURE=1 pytest tests/cli/test_captures.py`` writes them again; look at the difference before you commit it.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import ffprobe
from ffprobe.cli.live_table import RunState, live_table

CAPTURES = Path(__file__).with_name("captures")
RECORDED = Path(__file__).parents[1] / "recorded" / "trifecta-0.1.0.h5"
WIDTHS = (50, 80, 140)


def check(name: str, width: int, renderable: Any) -> None:
    """Compare what is printed with the capture, column by column."""
    console = Console(file=io.StringIO(), width=width, legacy_windows=False)
    console.print(renderable)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= width
    file = CAPTURES / f"{name}-{width}.txt"
    if os.environ.get("CAPTURE"):
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert lines == file.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("question", ["curves", "layers"])
def test_analyze(question: str, width: int) -> None:
    check(question, width, ffprobe.analyze(question, RECORDED).summary())


@pytest.mark.parametrize("width", WIDTHS)
def test_a_run_in_progress(width: int) -> None:
    epochs, depth = 12, 4
    metrics: dict[str, Any] = {
        "loss": [[0.7 / (e + 1) + 0.01 * i for i in range(depth)] for e in range(epochs)],
        "goodness_positive": [[1.0 + 0.1 * e * (i + 1) for i in range(depth)] for e in range(epochs)],
        "goodness_negative": [[1.0] * depth] * epochs,
        "validation_accuracy": [[0.1 + 0.06 * e + 0.02 * i for i in range(depth)] for e in range(epochs)],
        "model_validation_accuracy": [0.1 + 0.07 * e for e in range(epochs)],
        "images_per_second": [1234.0] * epochs,
        "learning_rate": [0.01] * epochs,
        "wall_time": [4.0 * (e + 1) for e in range(epochs)],
    }
    numbers = list(range(1, epochs + 1))
    state = RunState(Path("run.h5"), False, 60, "", [str(i) for i in range(depth)], numbers, metrics, part=0.5)
    check("live-table", width, live_table(state, width, 24))
