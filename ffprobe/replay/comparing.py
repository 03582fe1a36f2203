"""Comparison of a replay with the recorded trajectory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from ffprobe.components.peer import Peer, ReplayPlan, ReplayRecord, Tolerance, Trajectory
from ffprobe.errors import FileError

GIVEN = ("init/", "batch/", "eval/x", "eval/y")
"""Keys of a trajectory that are inputs of a replay; all others are results that the replay must reproduce."""

STATES = ("final", "step1", "first_grad")


@dataclass
class Replay:
    """The result of replaying one trajectory.

    Attributes:
        file: path of the trajectory.
        peer: name of the peer that planned the replay.
        deviations: largest absolute deviation by quantity: ``loss``, ``weights`` (after the last step), ``step1``
            (weights after the first step), ``first_grad``, ``evaluation_goodness`` and every other recorded quantity.
        excess: largest deviation divided by the tolerance, by quantity; a value above 1 fails.
        worst_weight: the parameter with the largest deviation after the last step.
        components: components of the replay, by slot.
        not_compared: recorded quantities that were not compared, with the reason.
    """

    file: str
    deviations: dict[str, float] = field(default_factory=dict)
    excess: dict[str, float] = field(default_factory=dict)
    worst_weight: str = ""
    components: dict[str, str] = field(default_factory=dict)
    peer: str = ""
    not_compared: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every deviation is within its tolerance."""
        return bool(self.excess) and all(value <= 1 for value in self.excess.values())

    def to_dict(self) -> dict[str, Any]:
        """The result as a JSON object."""
        return {
            "file": self.file,
            "peer": self.peer,
            "passed": self.passed,
            "deviations": self.deviations,
            "share_of_tolerance": self.excess,
            "worst_weight": self.worst_weight,
            "components": self.components,
            "not_compared": self.not_compared,
        }


def compare(
    result: Replay,
    trajectory: Trajectory,
    peer: Peer,
    plan: ReplayPlan,
    record: ReplayRecord,
    tolerance: Tolerance | None,
) -> None:
    """Fill ``result`` with every deviation.

    Args:
        result: the result of this trajectory, still empty.
        trajectory: the recorded trajectory.
        peer: the peer, which translates the recorded names.
        plan: the plan, with its tolerances.
        record: the quantities of the replay.
        tolerance: replaces the plan's tolerances; None keeps them.

    Raises:
        FileError: a quantity has another shape than recorded, or there is nothing to compare.
    """
    comparison = _Comparison(result, plan, tolerance)
    observed = peer.observed(record, trajectory)
    for key, recorded in trajectory.arrays.items():
        first = key.partition("/")[0]
        if key.startswith(GIVEN) or first in STATES:
            continue
        if key in observed:
            comparison.quantity(key, recorded, np.asarray(observed[key]))
        else:
            reason = next((why for pattern, why in plan.ignored.items() if fnmatchcase(key, pattern)), "")
            result.not_compared[key] = reason or "the peer does not know this quantity"
    final = {name: v.detach().cpu().numpy() for name, v in record.network.named_state().items()}
    for first, got in zip(STATES, (final, record.first_state, record.first_gradients), strict=True):
        recorded_state = {
            name: value
            for name, value in trajectory.under(first).items()
            if not comparison.ignored(f"{first}/{name}", result)
        }
        comparison.state(first, peer.state(recorded_state), got)
    if not result.excess:
        raise FileError("The trajectory contains nothing to compare.", where=trajectory.path)


class _Comparison:
    def __init__(self, result: Replay, plan: ReplayPlan, tolerance: Tolerance | None) -> None:
        self.result, self.plan, self.tolerance = result, plan, tolerance or plan.tolerance
        self.named: Mapping[str, float] = {} if tolerance else plan.tolerances

    def ignored(self, key: str, result: Replay) -> bool:
        for pattern, why in self.plan.ignored.items():
            if fnmatchcase(key, pattern):
                result.not_compared[key] = why
                return True
        return False

    def quantity(self, key: str, recorded: np.ndarray, got: np.ndarray) -> None:
        if recorded.shape != got.shape:
            message = f"{key} is recorded with shape {recorded.shape}, but the replay gives {got.shape}."
            raise FileError(message, where=self.result.file)
        expected, actual = recorded.astype(np.float64), got.astype(np.float64)
        named = self.named.get(key, self.named.get(key.partition("/")[0]))
        allowed = self.tolerance.absolute + self.tolerance.relative * np.abs(np.nan_to_num(expected))
        self._note(_title(key), expected, actual, allowed if named is None else np.full_like(expected, named))

    def state(self, first: str, recorded: Mapping[str, np.ndarray], got: Mapping[str, np.ndarray]) -> None:
        of_all = self.named.get(first, self.tolerance.weights)
        worst = -1.0
        for name, value in recorded.items():
            if first == "first_grad" and name not in got:  # the replay never updated it
                self._note(_title(first), np.zeros(1), np.full(1, np.nan), np.ones(1))
                continue
            expected, actual = value.astype(np.float64), got[name].astype(np.float64)
            if expected.shape != actual.shape:
                shapes = f"{expected.shape}, but the replay gives {actual.shape}"
                raise FileError(f"{first}/{name} is recorded with shape {shapes}.", where=self.result.file)
            allowed = self.named.get(f"{first}/{name}", of_all)
            deviation = self._note(_title(first), expected, actual, np.full_like(expected, allowed))
            if first == "final" and deviation > worst:
                worst, self.result.worst_weight = deviation, name

    def _note(self, title: str, expected: np.ndarray, actual: np.ndarray, allowed: np.ndarray) -> float:
        deviations, excess = self.result.deviations, self.result.excess
        if not np.array_equal(np.isfinite(expected), np.isfinite(actual)):
            deviations[title] = excess[title] = float("inf")  # NaN: the replay updated other layers than the recording
            return float("inf")
        deviation = np.abs(np.nan_to_num(actual) - np.nan_to_num(expected))
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(deviation > 0, deviation / allowed, 0.0)
        largest = float(deviation.max(initial=0.0))
        deviations[title] = max(deviations.get(title, 0.0), largest)
        excess[title] = max(excess.get(title, 0.0), float(share.max(initial=0.0)))
        return largest


def _title(key: str) -> str:
    titles = {"goodness_pos": "goodness_positive", "goodness_neg": "goodness_negative", "final": "weights"}
    return titles.get(key, key.replace("eval/", "evaluation_").replace("/", "_"))
