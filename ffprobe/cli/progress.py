"""Progress of a run: a live table of its layers on a terminal, one line per epoch in a log."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console

from ffprobe.cli.live_table import METRICS, RunState, live_table, log_line
from ffprobe.hookspecs import EpochContext, RunContext, StepContext, hookimpl

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

SECONDS_BETWEEN_LINES = 30.0
REFRESHES_PER_SECOND = 2.0


class Progress:
    """An observer that shows progress. It reads no tensor between epochs, so it never synchronizes with the device.

    Args:
        console: the console of stderr.
        path: the run file, for the title.
    """

    def __init__(self, console: Console, path: Path) -> None:
        self.console = console
        self.state = RunState(path, False, 0, "", [], [], {name: [] for name in (*METRICS, "wall_time")})
        self.live: Live | None = None
        self._first_step = self._step = self._per_epoch = self._batch = 0
        self._began = self._epoch_began = self._stepped = self._last = time.monotonic()
        if console.is_terminal and not console.is_dumb_terminal:
            from rich.live import Live

            self.live = Live(
                get_renderable=self._draw,
                console=console,
                refresh_per_second=REFRESHES_PER_SECOND,
                transient=True,
                vertical_overflow="ellipsis",
            )

    def __enter__(self) -> Progress:
        if self.live:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self.live.stop()

    @hookimpl
    def ffprobe_before_run(self, context: RunContext) -> None:
        self._per_epoch = context.steps_per_epoch
        self._batch = int(context.config.get("training", {}).get("batch_size", 0))
        self._began = time.monotonic()
        names = [layer.name for layer in context.layers]
        self.state = replace(self.state, planned=context.epochs, layers=names)

    @hookimpl
    def ffprobe_before_epoch(self, context: EpochContext) -> None:
        self._epoch_began = time.monotonic()
        if not self.state.epochs:
            self._first_step = context.step  # of a resumed run, the steps before count for nothing here
        self._step = context.step

    @hookimpl
    def ffprobe_after_step(self, context: StepContext) -> None:
        self._step, self._stepped = context.step + 1, time.monotonic()
        if not self.live and self._stepped - self._last > SECONDS_BETWEEN_LINES:
            total = context.run.epochs * self._per_epoch
            self._line(f"epoch {context.epoch + 1}/{context.run.epochs}: step {self._step} of {total}")

    @hookimpl
    def ffprobe_after_epoch(self, context: EpochContext) -> None:
        metrics, seconds = self.state.metrics, max(self._stepped - self._epoch_began, 1e-9)
        for name in ("loss", "goodness_positive", "goodness_negative", "validation_accuracy"):
            metrics[name].append(context.metrics[name].tolist())
        metrics["model_validation_accuracy"].append(context.model_accuracy)
        metrics["images_per_second"].append(self._per_epoch * self._batch / seconds)
        metrics["learning_rate"].append(math.nan)
        metrics["wall_time"].append(time.monotonic() - self._began)
        self._step = context.step
        self.state = replace(self.state, epochs=[*self.state.epochs, context.epoch + 1])
        if not self.live:
            self._line(log_line(replace(self.state, left=self._seconds_left())))

    def _draw(self) -> RenderableType:
        part = self._step / self._per_epoch - self.state.done if self._per_epoch else 0.0
        state = replace(self.state, part=min(max(part, 0.0), 1.0), left=self._seconds_left())
        return live_table(state, self.console.width, self.console.height)

    def _seconds_left(self) -> float:
        """From the steps of this process so far; evaluations are spread over them evenly enough."""
        done = self._step - self._first_step
        to_do = self.state.planned * self._per_epoch - self._step
        return (time.monotonic() - self._began) / done * to_do if done else math.nan

    def _line(self, text: str) -> None:
        self._last = time.monotonic()
        # a line of a log is never wrapped, whatever width rich assumes for it
        self.console.print(text, markup=False, soft_wrap=True)
