"""The progress of a run, from the contexts that its hooks give."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from ffprobe.cli.progress import Progress
from ffprobe.hookspecs import EpochContext, LayerInfo, RunContext, StepContext

LAYERS = tuple(LayerInfo(name, "linear", (4,), (4,), 16) for name in "01")
RUN = RunContext({"training": {"batch_size": 8}}, LAYERS, ("a", "b"), epochs=3, steps_per_epoch=2)


def step(index: int) -> StepContext:
    nothing: Any = None
    return StepContext(RUN, index // 2, index, nothing, nothing, nothing, nothing, nothing, 0.1)


def train(progress: Progress, epochs: range) -> None:
    for epoch in epochs:
        progress.ffprobe_before_epoch(EpochContext(RUN, epoch, 2 * epoch))
        for index in (2 * epoch, 2 * epoch + 1):
            progress.ffprobe_after_step(step(index))
        values = torch.tensor([0.5, 0.25])
        metrics = dict.fromkeys(("loss", "goodness_positive", "goodness_negative", "validation_accuracy"), values)
        progress.ffprobe_after_epoch(EpochContext(RUN, epoch, 2 * epoch + 2, metrics, model_accuracy=0.75))


def test_a_log_has_one_labelled_line_an_epoch() -> None:
    file = io.StringIO()
    progress = Progress(Console(file=file, width=40), Path("run.h5"))
    with progress:
        progress.ffprobe_before_run(RUN)
        train(progress, range(3))
    lines = file.getvalue().splitlines()
    assert len(lines) == 3
    start = "epoch 1/3: loss by layer 0.500 0.250, validation accuracy by layer 50.0 25.0 %, model 75.0 %, "
    assert lines[0].startswith(start) and lines[0].endswith(" left")
    assert lines[2].endswith("images/s")  # nothing is left


@pytest.mark.parametrize("width", [50, 80, 140])
def test_a_terminal_shows_the_layers(width: int) -> None:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=True)
    progress = Progress(console, Path("run.h5"))
    progress.ffprobe_before_run(RUN)
    train(progress, range(2))
    progress.ffprobe_before_epoch(EpochContext(RUN, 2, 4))
    progress.ffprobe_after_step(step(4))
    plain = Console(file=io.StringIO(), width=width)
    plain.print(progress._draw())
    text = plain.file.getvalue()  # type: ignore[attr-defined]
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0] == "run.h5" and lines[1].startswith("epoch 2/3 ━") and "left" in text
    assert [line.split()[0] for line in lines[-4:]] == ["layer", "1", "2", "model"]


def test_a_resumed_run_expects_only_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("ffprobe.cli.progress.time.monotonic", lambda: now[0])
    progress = Progress(Console(file=io.StringIO()), Path("run.h5"))
    progress.ffprobe_before_run(RUN)
    progress.ffprobe_before_epoch(EpochContext(RUN, 1, 2))
    now[0] += 3
    progress.ffprobe_after_step(step(2))
    assert progress._seconds_left() == pytest.approx(9.0)  # three more steps at 3 s
