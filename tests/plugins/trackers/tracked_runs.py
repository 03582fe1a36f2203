"""Runs with a tracker, interrupted and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from toy import toy_config

import ffprobe
from ffprobe.errors import Interrupted
from ffprobe.plugin.registry import Registry
from ffprobe.training.session import Session

MISSING = "not a dependency; this test runs where it is installed"


class Stop:
    """Interrupts the run in its last epoch."""

    session: Session

    @ffprobe.hookimpl
    def ffprobe_before_epoch(self, context: Any) -> None:
        if context.epoch + 1 == context.run.epochs:
            self.session.trainer.stop_after_batch(2)


def start(out: Path, *plugins: str, resume: bool = False, observers: Any = (), **changes: Any) -> Session:
    registry = Registry()
    config = toy_config(registry, *plugins, probes=[], **changes)
    return Session.start(config, registry, out, resume=resume, observers=observers)


def interrupt_and_resume(out: Path, *plugins: str) -> None:
    """Train the toy run's two epochs in two parts."""
    stop = Stop()
    stop.session = start(out, *plugins, observers=[("stop", stop)])
    with pytest.raises(Interrupted):
        stop.session.run()
    start(out, *plugins, resume=True).run()


def losses(out: Path) -> list[float]:
    """The second layer's loss, epoch by epoch."""
    with ffprobe.open(out) as run:
        assert run.messages() == []
        return [float(value) for value in run.read("metrics/loss")[:, 1]]


def accuracy(out: Path) -> float:
    """The model's accuracy on the test set."""
    with ffprobe.open(out) as run:
        return float(run.read("final/model_test_accuracy"))
