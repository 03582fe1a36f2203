"""What every installed evaluator predicts for the recorded images of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ffprobe.analysis.evaluators.read_calibration import read_calibration
from ffprobe.analysis.runs.progress import report_progress
from ffprobe.components.evaluator import Evaluator
from ffprobe.config.resolve import validate
from ffprobe.errors import FfprobeError, describe
from ffprobe.prediction.recorded_label_scan import RecordedLabelScan
from ffprobe.store.reader import RunFile, open_run
from ffprobe.view.payload.plain_values import plain
from ffprobe.view.payload.questions import registry
from ffprobe.view.payload.recorded_goodness import recorded_goodness


def evaluators_document(path: str, part: str) -> dict[str, Any]:
    """The predictions of all evaluators that goodness allows, with the run's own first.

    Everything that an evaluator chooses, it chooses on the validation images; its predictions of these are not
    cross-fitted, unlike those of the analysis ``evaluation``.

    Args:
        path: the run file.
        part: ``test`` or ``validation``.

    Returns:
        ``evaluators``: predicted labels by name, -1 where scores do not decide; ``skipped``: why another is missing.
    """
    found: dict[str, list[int]] = {}
    skipped: dict[str, str] = {}
    with open_run(path) as run:
        recorded = recorded_goodness(run, part)
        goodness = torch.from_numpy(np.asarray(recorded.of_all(), np.float32))
        form: Any = run.attributes.get("goodness_form", "pair")
        own = run.config.get("evaluator")
        own = dict(own) if isinstance(own, dict) else {}
        names = sorted({o.name for p in registry().plugins for o in p.offers if o.kind == "evaluator"})
        choices = [(str(own.get("name", "")), own)] if own.get("name") in names else []
        choices += [(name, {}) for name in names]
        for name, settings in choices:
            title = f"{name} (of the run)" if settings else name
            report_progress(title)
            try:
                evaluator = _built(name, {k: v for k, v in settings.items() if k not in ("name", "plugin")})
                _calibrate(evaluator, run)
                predicted = evaluator.predict(RecordedLabelScan(goodness, None, form)).tolist()
            except FfprobeError as error:
                skipped[title] = error.what
                continue
            except Exception as error:  # an evaluator that cannot do without features, or a plugin that fails
                skipped[title] = describe(error)
                continue
            if predicted not in found.values() or settings:
                found[title] = predicted
    return plain({"part": recorded.part, "epoch": recorded.epoch, "evaluators": found, "skipped": skipped})


def _built(name: str, settings: dict[str, Any]) -> Evaluator:
    component: Any = registry().component("evaluator", name)
    evaluator: Evaluator = component(validate(component.Params, settings, f"evaluator {name!r}"))
    return evaluator


def _calibrate(evaluator: Evaluator, run: RunFile) -> None:
    if type(evaluator).calibrate is not Evaluator.calibrate:
        evaluator.calibrate(read_calibration(run, "pre" if "activations" in evaluator.needs else ""))
