"""Random search: the ``[search]`` table of a grid, which draws settings instead of listing them."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

AXIS = "trial"
"""The axis that a search adds to a grid."""
DIGITS = 4
"""Significant digits of a drawn number, so that commands and tables stay readable."""


@dataclass(frozen=True)
class Range:
    """The values that one setting may take.

    Attributes:
        values: the choices; empty for a range of numbers.
        low: the smallest number.
        high: the largest number.
        log: whether the logarithm is uniform.
        step: the distance between two numbers; 0 for any number.
    """

    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float = 0

    def draw(self, chance: random.Random) -> Any:
        """One value; an int if the bounds and the step are."""
        if self.values:
            return chance.choice(self.values)
        if self.step:
            count = math.floor((self.high - self.low) / self.step + 1e-9)
            value = self.low + self.step * chance.randint(0, count)
        elif self.log:
            value = math.exp(chance.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = chance.uniform(self.low, self.high)
        if all(isinstance(bound, int) for bound in (self.low, self.high, self.step)):
            return min(max(round(value), self.low), self.high)
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)


@dataclass(frozen=True)
class Search:
    """The ``[search]`` of a grid.

    Attributes:
        space: the range of each setting, by dotted key.
        trials: how many to draw.
        seed: of the draws.
        method: ``random``, or ``optuna``: each trial depends on the results of those before.
        pruner: with ``optuna``, what ends trials that are behind: ``median``, ``hyperband`` or ``none``.
    """

    space: Mapping[str, Range]
    trials: int
    seed: int = 0
    method: str = "random"
    pruner: str = "median"


METHODS, PRUNERS = ("random", "optuna"), ("median", "hyperband", "none")


def read_range(value: Any) -> Range:
    """The range that a table or a list of the file stands for.

    Args:
        value: ``[32, 64]``, ``{values = [32, 64]}``, or ``{low = 1e-4, high = 1e-1, log = true}`` with ``step``.

    Raises:
        ValueError: it is none of these, or has no value in it; the message is a sentence.
    """
    if isinstance(value, Mapping) and set(value) == {"values"}:
        value = value["values"]
    if isinstance(value, list):
        if not value:
            raise ValueError("There is no value to choose from.")
        return Range(tuple(value))
    if not isinstance(value, Mapping) or not {"low", "high"} <= set(value) <= {"low", "high", "log", "step"}:
        raise ValueError("A range is a list of values, or a table with low, high, and optionally log or step.")
    found = Range((), value["low"], value["high"], value.get("log", False), value.get("step", 0))
    numbers = (found.low, found.high, found.step)
    if any(isinstance(n, bool) or not isinstance(n, int | float) or not math.isfinite(n) for n in numbers):
        raise ValueError("low, high and step must be numbers.")
    if not isinstance(found.log, bool):
        raise ValueError("log is true or false.")
    if not found.low < found.high:
        raise ValueError(f"low must be below high; {found.low!r} is not below {found.high!r}.")
    if found.step < 0 or (found.step and found.log):
        raise ValueError("step must be positive, and a range with a step is not logarithmic.")
    if found.log and found.low <= 0:
        raise ValueError("A logarithmic range begins above 0.")
    return found


def draws(space: Mapping[str, Range], trials: int, seed: int) -> list[dict[str, Any]]:
    """Settings of each trial.

    Each setting has its own random stream: another setting in the space changes none of its values, and more trials
    continue the same sequence.

    Args:
        space: the range of each setting, by dotted key.
        trials: how many.
        seed: of the random streams.
    """
    chances = {key: random.Random(f"{seed} {key}") for key in space}
    return [{key: found.draw(chances[key]) for key, found in space.items()} for _ in range(trials)]
