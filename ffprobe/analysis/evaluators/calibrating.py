"""Calibrating an evaluator: what a run file offers for it, and the cheapest setting that loses little."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ffprobe.components.evaluator import Evaluator
from ffprobe.errors import FileError

if TYPE_CHECKING:
    import torch

    from ffprobe.prediction.calibration import Calibration
    from ffprobe.store.reader import RunFile


Options = Callable[["Calibration"], Sequence[Mapping[str, Any]]]
"""What ``chosen`` may be, as thresholds and the like follow from some validation images; as many for any of them."""
ERROR = 0.05
"""How often a setting may be chosen that loses more than is allowed."""


def select_cheapest(
    evaluator: Evaluator,
    calibration: Calibration,
    options: Options,
    loss: float,
    chain: Callable[[Mapping[str, Any]], object] | None = None,
) -> dict[str, Any]:
    """The cheapest of several settings that very likely costs no more accuracy than allowed.

    Each is tried crosswise: as it follows from one half of the validation images it reads the other half, and is held
    against ``evaluator.scores`` on all pairs of the same images. What it loses, plus 1.64 standard errors of that
    (paired) difference, must be within ``loss``: a one-sided bound of 95 %. Where nothing is within, the most accurate
    is taken. Cost is counted in layer evaluations; equal cost goes to the more accurate, then to the first.

    The cheapest of many settings that each hold with 95 % is the luckiest of them, too, and would lose more on other
    images. Settings that cut ever deeper into the same thing should therefore form a chain: it is walked in the order
    given and left at the first setting that is not within, so that all of it together errs in 5 % (fixed-sequence
    testing). Several chains share the 5 %.

    Args:
        evaluator: reads with what stands in its ``chosen``; left with what was chosen.
        calibration: validation images.
        options: gives what ``chosen`` may be; those of a chain in the order from careful to bold.
        loss: allowed loss of accuracy, percentage points.
        chain: names the chain of an option; every option stands for itself unless given.

    Returns:
        The option chosen, as it follows from all validation images.
    """
    settings = evaluator.params.model_dump(exclude={"loss"})  # what a setting gives does not depend on what is allowed
    key = ("tried", evaluator.name, tuple(settings.items()))
    tried, choices = calibration.once(key, lambda: (_try(evaluator, calibration, options), options(calibration)))
    # the margin makes 0.1 points of 1000 images one image, whatever binary fractions say
    allowed = loss / 100 * len(calibration.labels) + 1e-6
    chains: dict[object, list[_Tried]] = {}
    for place, (one, option) in enumerate(zip(tried, choices, strict=True)):
        chains.setdefault(chain(option) if chain else place, []).append(one)
    width = NormalDist().inv_cdf(1 - ERROR / (len(chains) if chain else 1))
    good = [one for links in chains.values() for one in takewhile(lambda o: o.at_worst(width) <= allowed, links)]
    if good:
        best = min(good, key=lambda one: (one.cost, one.lost - one.gained))
    else:
        best = min(tried, key=lambda one: one.lost - one.gained)
    evaluator.chosen = dict(next(c for c, one in zip(choices, tried, strict=True) if one is best))
    return evaluator.chosen


@dataclass
class _Tried:
    """One setting: its cost, and how many images it loses and gains against all pairs."""

    cost: int = 0
    lost: int = 0
    gained: int = 0

    def at_worst(self, width: float) -> float:
        """Images lost on balance, and so many standard errors more."""
        return self.lost - self.gained + width * (self.lost + self.gained) ** 0.5


def _try(evaluator: Evaluator, calibration: Calibration, options: Options) -> list[_Tried]:
    first, second = calibration.halves()
    found: list[_Tried] = []
    for own, other in ((first, second), (second, first)):
        whole = evaluator.scores(own.goodness).argmax(dim=1) == own.labels
        offered = options(other)
        found = found or [_Tried() for _ in offered]
        for one, option in zip(found, offered, strict=True):
            evaluator.chosen = dict(option)
            sweep = own.sweep()
            right = evaluator.predict(sweep) == own.labels
            one.cost += sum(sweep.evaluations)
            one.lost += int((whole & ~right).sum())
            one.gained += int((right & ~whole).sum())
    return found


def read_calibration(run: RunFile, stage: Literal["pre", "random", ""] = "") -> Calibration:
    """The validation images of a run file, as an evaluator is calibrated by them.

    Goodness is that of the last evaluation. Without a stage it is of the whole validation set. With one, only the
    validation images whose activations were recorded are left, their features stand beside their goodness, of the last
    epoch for which there are both, and so do those of the images to fit on.

    Args:
        run: finished or not.
        stage: of the recorded activations: ``pre`` (neutral label) or ``random`` (a random label).

    Raises:
        FileError: nothing was evaluated, numbers are not finite, or no activations were recorded.
    """
    import torch

    from ffprobe.prediction.calibration import Calibration

    if not run.has("evaluation/goodness") or not run.variable("evaluation/goodness").shape[0]:
        hint = "Let it go on until the first evaluation."
        raise FileError("No goodness of validation images has been recorded.", where=str(run.path), hint=hint)
    layers = [str(name) for name in run.read("metrics/layer")]
    labels = torch.from_numpy(run.read("evaluation/true_label").astype(np.int64))
    epochs = [int(epoch) for epoch in run.read("evaluation/epoch")]
    form: Any = run.attributes.get("goodness_form", "pair")
    if not stage:
        return Calibration(_finite(run, "evaluation/goodness", -1), labels, form)
    both = _common_epoch(run, [f"activations/{layer}/{stage}" for layer in layers], epochs)
    goodness = _finite(run, "evaluation/goodness", epochs.index(both), all_untaught=True)
    held = run.read("activations/held_out") != 0
    places = {int(index): i for i, index in enumerate(run.read("evaluation/source_index"))}
    wanted = [int(index) for index in run.read("activations/source_index")[held]]
    if not set(wanted) <= set(places):
        what = "Images whose activations were recorded as held out are not among the validation images."
        raise FileError(what, where=str(run.path), hint="The file does not hold together; record the run again.")
    rows = [places[index] for index in wanted]
    fit, score = {}, {}
    for i, layer in enumerate(layers):
        group = f"activations/{layer}/{stage}"
        row = [int(epoch) for epoch in run.read(f"{group}/epoch")].index(both)
        features = _finite(run, f"{group}/activation", row)
        fit[i], score[i] = features[~held], features[held]
    truth = torch.from_numpy(run.read("activations/true_label").astype(np.int64))
    return Calibration(goodness[:, rows], labels[rows], form, score, fit, truth[~held])


def _common_epoch(run: RunFile, groups: list[str], evaluated: list[int]) -> int:
    from ffprobe.prediction.recorded_label_scan import RECORD

    if not all(run.has(f"{group}/activation") for group in groups):
        stage = groups[0].rpartition("/")[2]
        label = "a random label" if stage == "random" else "the neutral label"
        hint = RECORD if stage == "pre" else "Train again with --plugin evaluation."
        raise FileError(f"No activations with {label} were recorded in this run.", where=str(run.path), hint=hint)
    common = set(evaluated).intersection(*({int(e) for e in run.read(f"{group}/epoch")} for group in groups))
    if not common:
        hint = "Let the run go on until activations are recorded again, at its end at the latest."
        raise FileError("Activations of the trained network are not in the file yet.", where=str(run.path), hint=hint)
    return max(common)


def _finite(run: RunFile, path: str, row: int, all_untaught: bool = False) -> torch.Tensor:
    import torch

    values = np.asarray(run.variable(path)[row])
    untaught = np.zeros(len(values), bool)
    if path == "evaluation/goodness":  # a layer that no loss teaches says NaN throughout
        untaught = np.isnan(values).all(axis=(1, 2))
    bad = ~np.isfinite(values[~untaught])
    if bad.any() or (untaught.all() and not all_untaught):
        count = f"{int(bad.sum()) or values.size} of {values.size}"
        hint = "The run diverged: look at its losses and its learning rate."
        if untaught.all():
            hint = "Where no label enters the network goodness tells no classes apart: use --evaluator one-pass."
        raise FileError(f"{count} numbers in {path} are NaN or infinite.", where=str(run.path), hint=hint)
    return torch.from_numpy(values)
