"""Summary of a run in a few numbers, independent of the open file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

NAN = math.nan


@dataclass(frozen=True)
class RunSummary:
    """Summary of one run, without an open file.

    Attributes:
        path: path of the run file.
        complete: whether the run is complete.
        config: the resolved config.
        attributes: attributes of the file's root.
        epochs: number of epochs in the file.
        test: test accuracy by the run's evaluator in percent; NaN if the test set was not evaluated.
        validation: validation accuracy by the run's evaluator in percent; of an unfinished run, the last measured one.
        seconds: wall time of the run so far.
    """

    path: Path
    complete: bool
    config: Mapping[str, Any]
    attributes: Mapping[str, object]
    epochs: int
    test: float
    validation: float
    seconds: float

    @property
    def seed(self) -> int | None:
        """The root seed; None if the file does not contain it."""
        seed = self.config.get("seed")
        return seed if isinstance(seed, int) else None


def summarize(run: RunFile) -> RunSummary:
    """Summarize a run.

    For a complete run, only the attributes and ``final`` are read, so that a thousand runs take seconds. For an
    unfinished run, ``final`` is not reliable, so the last committed epoch is read instead.
    """
    config = run.config
    if run.complete:
        numbers = {
            name: _final(run, name) for name in ("model_test_accuracy", "model_validation_accuracy", "wall_time")
        }
        test, validation, seconds = (
            100 * numbers["model_test_accuracy"],
            100 * numbers["model_validation_accuracy"],
            0.0,
        )
        planned = config.get("training", {}).get("epochs")
        # only a run that may stop early has another number of epochs than planned, and counting them takes time
        stops_early = bool(config.get("training", {}).get("early_stop"))
        epochs = planned if isinstance(planned, int) and not stops_early else run.epochs
        seconds = numbers["wall_time"]
    else:
        test, validation = NAN, 100 * _last(run, "model_validation_accuracy")
        seconds, epochs = _last(run, "wall_time"), run.epochs
    return RunSummary(Path(run.path), run.complete, config, dict(run.attributes), epochs, test, validation, seconds)


def _final(run: RunFile, name: str) -> float:
    path = f"final/{name}"
    return float(run.read(path)) if run.has(path) else NAN


def _last(run: RunFile, name: str) -> float:
    """Return the last measured value of a metric."""
    import numpy as np

    path = f"metrics/{name}"
    values = run.read(path).astype(float) if run.has(path) else np.empty(0)
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if finite.size else NAN
