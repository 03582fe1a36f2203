"""A run that is complete already: the same run, and its results."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from ffprobe.config.differences import deciding, differences
from ffprobe.config.resolve import resolve
from ffprobe.config.settings import RunConfig
from ffprobe.config.trust import code_in
from ffprobe.errors import FfprobeError, UsageError
from ffprobe.plugin.registry import Registry
from ffprobe.store.reader import RunFile, open_run
from ffprobe.training.checkpoint import checkpoint_of
from ffprobe.training.outcome import Outcome


def finished_outcome(out: Path, config: RunConfig, registry: Registry) -> Outcome:
    """The results of the finished run ``out``, if it is the run of this config.

    Args:
        out: a finished run file.
        config: of the run that was requested.
        registry: that resolved it.

    Raises:
        FileError: it is not a run file, is damaged, or did not finish.
        UsageError: it is another run; the message lists the differences.
    """
    with open_run(out) as run:
        recorded = run.config
        requested = config.to_dict()
        if set(code_in(recorded)) <= set(code_in(requested)):  # imports nothing that only the file names
            with contextlib.suppress(FfprobeError):  # settings that were added since then have their defaults
                recorded = resolve(recorded, registry).to_dict()
        changed = list(differences(deciding(recorded), deciding(requested)))
        if changed:
            more = f" and {len(changed) - 4} more" if len(changed) > 4 else ""
            raise UsageError(
                f"{out.name} is a finished run with other settings: {'; '.join(changed[:4])}{more}.",
                where=str(out),
                hint="Use another --out, or --overwrite to replace it when this run finishes.",
            )
        outcome = _outcome(run)
    checkpoint_of(out).unlink(missing_ok=True)  # a kill between the final rename and its removal leaves one
    return outcome


def _outcome(run: RunFile) -> Outcome:
    def value(name: str) -> Any:
        path = f"final/{name}"
        return run.read(path).tolist() if path in run.paths() else None

    model_test = value("model_test_accuracy")
    return Outcome(
        value("validation_accuracy") or [],
        [] if model_test is None or model_test != model_test else value("test_accuracy"),
        value("model_validation_accuracy"),
        None if model_test is None or model_test != model_test else model_test,
        value("wall_time") or 0.0,
        float(run.read("metrics/images_per_second")[-1]) if run.epochs else 0.0,
    )
