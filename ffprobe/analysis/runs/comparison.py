"""Groups of runs held against a baseline, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ffprobe.analysis.runs.grouping import RunGroup
from ffprobe.analysis.measures.statistics import Estimate, holm, mean_interval, paired_difference
from ffprobe.errors import UsageError

Part = Literal["test", "validation"]
PARTS: tuple[Part, Part] = ("test", "validation")


@dataclass(frozen=True)
class Comparison:
    """One group of runs, and how it differs from its baseline.

    Attributes:
        group: the runs.
        baseline: what they are compared with; the group itself where it is the baseline.
        seeds: accuracy in percent by seed, for ``test`` and ``validation``.
        mean: over seeds, of each part; None where no run of the group has it.
        part: ``test`` where every run has read the test set, else ``validation``.
        on: the part that the difference is of: ``test`` where every run of both groups has read it.
        paired: the seeds that both groups have on that part.
        difference: of the accuracies of those seeds, in percentage points; None without a common seed.
        p: of the paired t test, corrected by Holm over all groups compared at once; NaN where nothing was tested.
    """

    group: RunGroup
    baseline: RunGroup
    seeds: Mapping[Part, Mapping[int | str, float]]
    mean: Mapping[Part, Estimate | None]
    part: Part
    on: Part
    paired: tuple[int | str, ...]
    difference: Estimate | None
    p: float = math.nan

    @property
    def n(self) -> int:
        """How many seeds."""
        return len({run.path if run.seed is None else run.seed for run in self.group.runs})

    @property
    def seconds(self) -> float:
        """Mean wall time of a run; NaN where it was not recorded."""
        known = [run.seconds for run in self.group.runs if run.seconds == run.seconds]
        return sum(known) / len(known) if known else math.nan

    def notes(self) -> Iterator[str]:
        """A sentence for everything that keeps these numbers from being read plainly."""
        of, runs = f"{self.group.dataset}, {self.group.label}", self.group.runs
        for part in PARTS:
            measured = sum(getattr(run, part) == getattr(run, part) for run in runs)
            if 0 < measured < len(runs):
                yield f"{of}: {part} accuracy is that of {measured} of {len(runs)} runs; the others lack it."
            if (mean := self.mean[part]) and mean.n > 1 and mean.sd == 0:
                yield f"{of}: the {part} accuracy is the same for all {mean.n} seeds, so its spread says nothing."
        if self.n < len(runs):
            yield f"{of}: {len(runs)} runs of {self.n} seeds; runs of the same seed count once, as their mean."
        if self.group is self.baseline:
            return
        if self.difference is None:
            yield f"{of}: no seed in common with {self.baseline.label}, so there is no difference to tell."
        elif self.difference.why:
            yield f"{of}: the difference to {self.baseline.label} was not tested: {self.difference.why}."
        if self.paired and len(self.paired) < self.n:
            yield f"{of}: {len(self.paired)} of {self.n} seeds are paired with {self.baseline.label}."

    def to_dict(self) -> dict[str, Any]:
        """The comparison as nested plain values."""
        return {
            "dataset": self.group.dataset,
            "plugins": self.group.label,
            "settings": dict(self.group.settings),
            "runs": [{"path": str(run.path), "seed": run.seed, "complete": run.complete} for run in self.group.runs],
            **{part: {str(seed): value for seed, value in self.seeds[part].items()} for part in PARTS},
            "compared_with": None if self.group is self.baseline else self.baseline.label,
            "compared_on": self.on if self.difference else None,
            "paired_seeds": list(self.paired),
            "difference": vars(self.difference) if self.difference else None,
            "p_holm": self.p,
        }


def compare_groups(groups: Sequence[RunGroup], baseline: str = "", confidence: float = 0.95) -> list[Comparison]:
    """Hold each group against the baseline of its data set.

    Args:
        groups: from ``group_runs``.
        baseline: label of the group to compare with; empty, or not there for a data set: its first group.
        confidence: of the intervals.

    Raises:
        UsageError: no group has that label; the message lists them.
    """
    labels = list(dict.fromkeys(group.label for group in groups))
    if baseline and baseline not in labels:
        raise UsageError(f"No group of runs is called {baseline!r}.", hint=f"Known: {', '.join(map(repr, labels))}.")
    found = []
    for group in groups:
        same = [other for other in groups if other.dataset == group.dataset]
        found.append(_compare(group, next((o for o in same if o.label == baseline), same[0]), confidence))
    p_values = holm([one.difference.p if one.difference else math.nan for one in found])
    return [Comparison(**{**vars(one), "p": p}) for one, p in zip(found, p_values, strict=True)]


def _compare(group: RunGroup, baseline: RunGroup, confidence: float) -> Comparison:
    seeds = {part: group.by_seed(lambda run, part=part: getattr(run, part)) for part in PARTS}  # type: ignore[misc]
    mean = {p: mean_interval(list(own.values()), confidence) if own else None for p, own in seeds.items()}
    on: Part = "test" if group.tested and baseline.tested else "validation"
    other = baseline.by_seed(lambda run: float(getattr(run, on)))
    paired = tuple(seed for seed in other if seed in seeds[on]) if group is not baseline else ()
    difference = None
    if paired:
        pairs = [other[seed] for seed in paired], [seeds[on][seed] for seed in paired]
        difference = paired_difference(*pairs, confidence)
    return Comparison(group, baseline, seeds, mean, "test" if group.tested else "validation", on, paired, difference)
