"""The calibration data of an evaluator: goodness and features of validation images, read from a run file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

import numpy as np

from ffprobe.analysis.evaluators.layer_cost import layer_multiply_adds
from ffprobe.errors import FileError

if TYPE_CHECKING:
    import torch

    from ffprobe.prediction.calibration import Calibration
    from ffprobe.store.reader import RunFile

_fits: WeakKeyDictionary[RunFile, dict[str, dict[Any, Any]]] = WeakKeyDictionary()
"""What evaluators computed from the calibration of each open, finished run, by stage: analyses of one run share it."""


def read_calibration(run: RunFile, stage: Literal["pre", "random", ""] = "") -> Calibration:
    """Read the validation images of a run file as calibration data for an evaluator.

    Without a stage, the calibration contains the goodness of the whole validation set at the last evaluation. With a
    stage, it contains only the validation images whose activations were recorded, with their goodness and features, and
    the features of the training images to fit on; all from the last epoch that has both.

    Args:
        run: a run file, finished or not.
        stage: stage of the recorded activations: ``pre`` (neutral label) or ``random`` (a random label).

    Raises:
        FileError: nothing was evaluated, numbers are not finite, or no activations were recorded.
    """
    import torch

    from ffprobe.prediction.calibration import Calibration

    if not run.has("evaluation/goodness") or not run.variable("evaluation/goodness").shape[0]:
        hint = "Resume the run until the first evaluation."
        raise FileError("No goodness of validation images was recorded.", where=str(run.path), hint=hint)
    layers = [str(name) for name in run.read("metrics/layer")]
    labels = torch.from_numpy(run.read("evaluation/true_label").astype(np.int64))
    epochs = [int(epoch) for epoch in run.read("evaluation/epoch")]
    form: Any = run.attributes.get("goodness_form", "pair")
    costs = tuple(layer_multiply_adds(run, len(layers)))
    known = _fits.setdefault(run, {}) if run.complete else {}
    caches = known.setdefault(stage, {}), known.setdefault(f"{stage} not shared by subsets", {})
    if not stage:
        goodness = _finite(run, "evaluation/goodness", -1)
        return Calibration(goodness, labels, form, None, None, None, costs, *caches)
    epoch = _common_epoch(run, [f"activations/{layer}/{stage}" for layer in layers], epochs)
    goodness = _finite(run, "evaluation/goodness", epochs.index(epoch), allow_all_untrained=True)
    held = run.read("activations/held_out") != 0
    row_of = {int(index): i for i, index in enumerate(run.read("evaluation/source_index"))}
    wanted = [int(index) for index in run.read("activations/source_index")[held]]
    if not set(wanted) <= set(row_of):
        what = "Some held-out images with recorded activations are not among the validation images."
        raise FileError(what, where=str(run.path), hint="The file is inconsistent; record the run again.")
    rows = [row_of[index] for index in wanted]
    fit, score = {}, {}
    for i, layer in enumerate(layers):
        group = f"activations/{layer}/{stage}"
        row = [int(recorded) for recorded in run.read(f"{group}/epoch")].index(epoch)
        features = _finite(run, f"{group}/activation", row)
        fit[i], score[i] = features[~held], features[held]
    truth = torch.from_numpy(run.read("activations/true_label").astype(np.int64))
    return Calibration(goodness[:, rows], labels[rows], form, score, fit, truth[~held], costs, *caches)


def _common_epoch(run: RunFile, groups: list[str], evaluated: list[int]) -> int:
    from ffprobe.prediction.recorded_label_scan import RECORD

    if not all(run.has(f"{group}/activation") for group in groups):
        stage = groups[0].rpartition("/")[2]
        label = "a random label" if stage == "random" else "the neutral label"
        hint = RECORD if stage == "pre" else "Train again with --plugin evaluation."
        raise FileError(f"No activations with {label} were recorded in this run.", where=str(run.path), hint=hint)
    common = set(evaluated).intersection(*({int(e) for e in run.read(f"{group}/epoch")} for group in groups))
    if not common:
        hint = "Resume the run until activations are recorded again, at the latest at its end."
        raise FileError("Activations of the trained network are not in the file yet.", where=str(run.path), hint=hint)
    return max(common)


def _finite(run: RunFile, path: str, row: int, allow_all_untrained: bool = False) -> torch.Tensor:
    import torch

    values = np.asarray(run.variable(path)[row])
    untrained = np.zeros(len(values), bool)
    if path == "evaluation/goodness":  # the goodness of a layer that no loss trains is NaN for all images
        untrained = np.isnan(values).all(axis=(1, 2))
    bad = ~np.isfinite(values[~untrained])
    if bad.any() or (untrained.all() and not allow_all_untrained):
        count = f"{int(bad.sum()) or values.size} of {values.size}"
        hint = "The run diverged: check its losses and its learning rate."
        if untrained.all():
            hint = "If no label enters the network, goodness does not distinguish classes: use --evaluator one-pass."
        raise FileError(f"{count} numbers in {path} are NaN or infinite.", where=str(run.path), hint=hint)
    return torch.from_numpy(values)
