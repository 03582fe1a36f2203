"""Holding what a replay gave against what was recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from ffprobe.components.peer import Peer, ReplayPlan, ReplayRecord, Tolerance, Trajectory
from ffprobe.errors import FileError

GIVEN = ("init/", "batch/", "eval/x", "eval/y")
"""What a trajectory gives to a replay; the rest is what a replay must give back."""

STATES = ("final", "step1", "first_grad")


@dataclass
class Replay:
    """What came of one trajectory.

    Attributes:
        file: its path.
        peer: who said how it is repeated.
        deviations: the largest absolute deviation by quantity: ``loss``, ``weights`` (after the last step), ``step1``
            (weights after the first), ``first_grad``, ``evaluation_goodness`` and whatever else was recorded.
        excess: the largest deviation as a share of what is allowed, by quantity; above 1 fails.
        worst_weight: the parameter that strayed most after the last step.
        components: what the trajectory was replayed with, by slot.
        not_compared: what was recorded and not compared, with the reason.
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
        """Whether everything stayed within the tolerance."""
        return bool(self.excess) and all(value <= 1 for value in self.excess.values())

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
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
    heard: ReplayRecord,
    tolerance: Tolerance | None,
) -> None:
    """Fill ``result`` with every deviation.

    Args:
        result: of this trajectory, still empty.
        trajectory: what was recorded.
        peer: whose words the recorded names are.
        plan: with the tolerances.
        heard: what the replay gave.
        tolerance: in place of the plan's.

    Raises:
        FileError: a quantity has another shape than recorded, or there is nothing to compare.
    """
    judge = _Judge(result, plan, tolerance)
    observed = peer.observed(heard, trajectory)
    for key, recorded in trajectory.arrays.items():
        first = key.partition("/")[0]
        if key.startswith(GIVEN) or first in STATES:
            continue
        if key in observed:
            judge.quantity(key, recorded, np.asarray(observed[key]))
        else:
            reason = next((why for pattern, why in plan.ignored.items() if fnmatchcase(key, pattern)), "")
            result.not_compared[key] = reason or "the peer does not say what it is"
    final = {name: v.detach().cpu().numpy() for name, v in heard.network.named_state().items()}
    for first, got in zip(STATES, (final, heard.first_state, heard.first_gradients), strict=True):
        recorded_state = {
            name: value
            for name, value in trajectory.under(first).items()
            if not judge.ignored(f"{first}/{name}", result)
        }
        judge.state(first, peer.state(recorded_state), got)
    if not result.excess:
        raise FileError("The trajectory records nothing to compare.", where=trajectory.path)


class _Judge:
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
            told = f"{key} is recorded as {recorded.shape}, the replay gives {got.shape}."
            raise FileError(told, where=self.result.file)
        expected, found = recorded.astype(np.float64), got.astype(np.float64)
        named = self.named.get(key, self.named.get(key.partition("/")[0]))
        allowed = self.tolerance.absolute + self.tolerance.relative * np.abs(np.nan_to_num(expected))
        self._note(_title(key), expected, found, allowed if named is None else np.full_like(expected, named))

    def state(self, first: str, recorded: Mapping[str, np.ndarray], got: Mapping[str, np.ndarray]) -> None:
        allowed = self.named.get(first, self.tolerance.weights)
        worst = -1.0
        for name, value in recorded.items():
            expected, found = value.astype(np.float64), got[name].astype(np.float64)
            if expected.shape != found.shape:
                raise FileError(f"{first}/{name} is recorded as {expected.shape}, not {found.shape}.")
            deviation = self._note(_title(first), expected, found, np.full_like(expected, allowed))
            if first == "final" and deviation > worst:
                worst, self.result.worst_weight = deviation, name

    def _note(self, title: str, expected: np.ndarray, found: np.ndarray, allowed: np.ndarray) -> float:
        deviations, excess = self.result.deviations, self.result.excess
        if not np.array_equal(np.isfinite(expected), np.isfinite(found)):
            deviations[title] = excess[title] = float("inf")  # NaN: other layers were updated than recorded
            return float("inf")
        deviation = np.abs(np.nan_to_num(found) - np.nan_to_num(expected))
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(deviation > 0, deviation / allowed, 0.0)
        largest = float(deviation.max(initial=0.0))
        deviations[title] = max(deviations.get(title, 0.0), largest)
        excess[title] = max(excess.get(title, 0.0), float(share.max(initial=0.0)))
        return largest


def _title(key: str) -> str:
    titles = {"goodness_pos": "goodness_positive", "goodness_neg": "goodness_negative", "final": "weights"}
    return titles.get(key, key.replace("eval/", "evaluation_").replace("/", "_"))
