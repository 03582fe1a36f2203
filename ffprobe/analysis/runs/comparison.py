"""Comparison of groups of runs with a baseline, paired by seed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ffprobe.analysis.measures.statistics import Estimate, holm, mean_interval, paired_difference
from ffprobe.analysis.runs.grouping import RunGroup
from ffprobe.errors import UsageError

Part = Literal["test", "validation"]
PARTS: tuple[Part, Part] = ("test", "validation")


@dataclass(frozen=True)
class Comparison:
    """One group of runs and its difference from the baseline.

    Attributes:
        group: the runs.
        baseline: the group that they are compared with; the group itself if it is the baseline.
        seeds: accuracy in percent by seed, for ``test`` and ``validation``.
        mean: mean over seeds for each part; None if no run of the group has it.
        part: ``test`` if every run has a test accuracy, else ``validation``.
        on: the part used for the difference: ``test`` if every run of both groups has a test accuracy.
        paired: the seeds that both groups have on that part.
        difference: difference of the accuracies of those seeds, in percentage points; None without a common seed.
        p: p value of the paired t test with Holm-Bonferroni correction over all groups compared at once; NaN if nothing
            was tested.
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
        """Number of seeds."""
        return len({run.path if run.seed is None else run.seed for run in self.group.runs})

    @property
    def seconds(self) -> float:
        """Mean wall time of a run in seconds; NaN if it was not recorded."""
        known = [run.seconds for run in self.group.runs if run.seconds == run.seconds]
        return sum(known) / len(known) if known else math.nan

    def notes(self) -> Iterator[str]:
        """Yield a sentence for each caveat of these numbers."""
        name, runs = f"{self.group.dataset}, {self.group.label}", self.group.runs
        for part in PARTS:
            measured = sum(getattr(run, part) == getattr(run, part) for run in runs)
            if 0 < measured < len(runs):
                yield f"{name}: {part} accuracy is that of {measured} of {len(runs)} runs; the others have none."
            if (mean := self.mean[part]) and mean.n > 1 and mean.sd == 0:
                same = f"{name}: the {part} accuracy is the same for all {mean.n} seeds"
                yield f"{same}, so its spread is not informative."
        if self.n < len(runs):
            yield f"{name}: {len(runs)} runs of {self.n} seeds; runs with the same seed count once, as their mean."
        if self.group is self.baseline:
            return
        if self.difference is None:
            yield f"{name}: no seed in common with {self.baseline.label}, so there is no paired difference."
        elif self.difference.why:
            yield f"{name}: the difference to {self.baseline.label} was not tested: {self.difference.why}."
        if self.paired and len(self.paired) < self.n:
            yield f"{name}: {len(self.paired)} of {self.n} seeds are paired with {self.baseline.label}."

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as nested plain values."""
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
    """Compare each group with the baseline of its data set.

    Args:
        groups: from ``group_runs``.
        baseline: label of the group to compare with; if it is empty, or missing for a data set, the first group.
        confidence: confidence level of the intervals, between 0 and 1.

    Raises:
        UsageError: no group has that label; the message lists the labels.
    """
    labels = list(dict.fromkeys(group.label for group in groups))
    if baseline and baseline not in labels:
        raise UsageError(f"No group of runs is called {baseline!r}.", hint=f"Known: {', '.join(map(repr, labels))}.")
    comparisons = []
    for group in groups:
        same = [other for other in groups if other.dataset == group.dataset]
        comparisons.append(_compare(group, next((o for o in same if o.label == baseline), same[0]), confidence))
    p_values = holm([c.difference.p if c.difference else math.nan for c in comparisons])
    return [Comparison(**{**vars(c), "p": p}) for c, p in zip(comparisons, p_values, strict=True)]


def _compare(group: RunGroup, baseline: RunGroup, confidence: float) -> Comparison:
    seeds = {part: group.by_seed(lambda run, part=part: getattr(run, part)) for part in PARTS}  # type: ignore[misc]
    mean = {p: mean_interval(list(values.values()), confidence) if values else None for p, values in seeds.items()}
    on: Part = "test" if group.tested and baseline.tested else "validation"
    other = baseline.by_seed(lambda run: float(getattr(run, on)))
    paired = tuple(seed for seed in other if seed in seeds[on]) if group is not baseline else ()
    difference = None
    if paired:
        pairs = [other[seed] for seed in paired], [seeds[on][seed] for seed in paired]
        difference = paired_difference(*pairs, confidence)
    return Comparison(group, baseline, seeds, mean, "test" if group.tested else "validation", on, paired, difference)
