"""Selection of the cheapest setting of an evaluator whose loss of accuracy is within a bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from ffprobe.components.evaluator import Evaluator

if TYPE_CHECKING:
    from ffprobe.prediction.calibration import Calibration


Options = Callable[["Calibration"], Sequence[Mapping[str, Any]]]
"""Computes the candidate values of ``chosen`` from validation images; their number is the same for any images."""
ERROR = 0.05
"""Probability of selecting a setting that loses more accuracy than allowed."""


def select_cheapest(
    evaluator: Evaluator,
    calibration: Calibration,
    options: Options,
    loss: float,
    chain: Callable[[Mapping[str, Any]], object] | None = None,
) -> dict[str, Any]:
    """Select the cheapest of several settings that very likely loses no more accuracy than allowed.

    Each setting is cross-fitted: computed from one half of the validation images, it predicts the other half, and is
    compared with ``evaluator.scores`` on all pairs of the same images. Its loss of accuracy plus 1.64 standard errors
    of that (paired) difference must be within ``loss``: a one-sided bound of 95 %. If no setting is within the bound,
    the most accurate one is selected. Cost is counted in multiply-adds (``Calibration.cost``); of equal cost, the more
    accurate setting is selected, then the first.

    The cheapest of many settings that are each within the bound with 95 % confidence is also the luckiest of them, and
    would lose more on other images. Settings that reduce the same quantity step by step should therefore form a chain:
    it is tested in the given order up to the first setting that is not within the bound, so that the error of the whole
    chain is 5 % (fixed-sequence testing). Several chains share the 5 % (Bonferroni).

    Args:
        evaluator: predicts with the setting in its ``chosen``; the selected setting is stored there.
        calibration: validation images.
        options: computes the candidate values of ``chosen``; those of a chain in the order from careful to bold.
        loss: allowed loss of accuracy in percentage points.
        chain: returns the name of the chain of an option; by default every option is tested by itself.

    Returns:
        The selected option, computed from all validation images.
    """
    settings = evaluator.params.model_dump(exclude={"loss"})  # the trials do not depend on the allowed loss
    key = ("tried", type(evaluator), repr(settings))  # a setting may be a list, which is no key
    trials, candidates = calibration.once(key, lambda: (_try(evaluator, calibration, options), options(calibration)))
    # the margin makes 0.1 points of 1000 images one image despite binary rounding
    allowed = loss / 100 * len(calibration.labels) + 1e-6
    chains: dict[object, list[_Trial]] = {}
    for index, (trial, option) in enumerate(zip(trials, candidates, strict=True)):
        chains.setdefault(chain(option) if chain else index, []).append(trial)
    width = NormalDist().inv_cdf(1 - ERROR / (len(chains) if chain else 1))
    within = [t for links in chains.values() for t in takewhile(lambda t: t.upper_bound(width) <= allowed, links)]
    if within:
        best = min(within, key=lambda trial: (trial.cost, trial.lost - trial.gained))
    else:
        best = min(trials, key=lambda trial: trial.lost - trial.gained)
    evaluator.chosen = dict(next(c for c, trial in zip(candidates, trials, strict=True) if trial is best))
    return evaluator.chosen


@dataclass
class _Trial:
    """One setting: its cost, and the numbers of images lost and gained compared with all pairs."""

    cost: float = 0.0
    lost: int = 0
    gained: int = 0

    def upper_bound(self, width: float) -> float:
        """Net number of images lost, plus ``width`` standard errors."""
        return self.lost - self.gained + width * (self.lost + self.gained) ** 0.5


def _try(evaluator: Evaluator, calibration: Calibration, options: Options) -> list[_Trial]:
    from ffprobe.prediction.predicted_labels import predicted_labels

    first, second = calibration.halves()
    trials: list[_Trial] = []
    for half, other in ((first, second), (second, first)):
        full = predicted_labels(evaluator.scores(half.goodness)) == half.labels
        candidates = options(other)
        trials = trials or [_Trial() for _ in candidates]
        for trial, option in zip(trials, candidates, strict=True):
            evaluator.chosen = dict(option)
            scan = half.scan()
            correct = evaluator.predict(scan) == half.labels
            trial.cost += half.cost(scan)
            trial.lost += int((full & ~correct).sum())
            trial.gained += int((correct & ~full).sum())
    return trials
