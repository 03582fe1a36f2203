"""Progress of a run: a progress bar on a terminal, one line per epoch in a log."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from ffprobe.hookspecs import EpochContext, RunContext, StepContext, hookimpl

SECONDS_BETWEEN_LINES = 30.0


class Progress:
    """An observer that shows progress. It reads no tensor between epochs, so it never synchronizes with the device.

    Args:
        console: the console of stderr.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar: Bar | None = None
        self._task: TaskID | None = None
        self._total = 0
        self._epochs = 0
        self._last = time.monotonic()
        if console.is_terminal and not console.is_dumb_terminal:
            self.bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                MofNCompleteColumn(),
                TimeRemainingColumn(compact=True),
                console=console,
                transient=True,
                expand=True,
            )

    def __enter__(self) -> Progress:
        if self.bar:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar:
            self.bar.stop()

    @hookimpl
    def ffprobe_before_run(self, context: RunContext) -> None:
        self._total, self._epochs = context.epochs * context.steps_per_epoch, context.epochs
        if self.bar:
            self._task = self.bar.add_task(f"epoch 1/{self._epochs}", total=self._total)

    @hookimpl
    def ffprobe_before_epoch(self, context: EpochContext) -> None:
        if self.bar and self._task is not None:
            description = f"epoch {context.epoch + 1}/{self._epochs}"
            self.bar.update(self._task, description=description, completed=context.step)

    @hookimpl
    def ffprobe_after_step(self, context: StepContext) -> None:
        if self.bar and self._task is not None:
            self.bar.update(self._task, completed=context.step + 1)
        elif time.monotonic() - self._last > SECONDS_BETWEEN_LINES:
            self._line(f"epoch {context.epoch + 1}/{self._epochs}: step {context.step + 1} of {self._total}")

    @hookimpl
    def ffprobe_after_epoch(self, context: EpochContext) -> None:
        accuracy = context.metrics.get("validation_accuracy")
        text = f"epoch {context.epoch + 1}/{self._epochs}: loss {_numbers(context.metrics['loss'], 3)}"
        if accuracy is not None and not accuracy.isnan().all():
            text += f"  validation % {_numbers(100 * accuracy, 1)}"
        if not self.bar:
            self._line(text)
        elif self._task is not None:
            self.bar.console.print(text, markup=False)

    def _line(self, text: str) -> None:
        self._last = time.monotonic()
        # a line of a log is never wrapped, whatever width rich assumes for it
        self.console.print(text, markup=False, soft_wrap=True)


def _numbers(values: Any, digits: int) -> str:
    return " ".join("–" if value != value else f"{value:.{digits}f}" for value in values.tolist())
