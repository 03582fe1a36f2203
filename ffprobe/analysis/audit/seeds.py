"""How many seeds, and how far apart are they?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ffprobe.analysis.audit.finding import Finding, Topic
from ffprobe.analysis.measures.statistics import mean_interval
from ffprobe.analysis.runs.grouping import RunGroup, group_differences, group_runs
from ffprobe.analysis.runs.summary import summarize

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

ENOUGH = 3
"""Seeds from which a spread is an estimate and not a guess."""


def seeds_topic(runs: Sequence[RunFile]) -> Topic:
    """Accuracy over seeds for each set of runs that differ only in the seed, and other differences between the sets."""
    groups = group_runs([summarize(run) for run in runs])
    findings = [_group(group, len(groups) > 1) for group in groups]
    findings += [Finding("look", sentence) for sentence in group_differences(groups)]
    return Topic("Seeds and spread", tuple(findings))


def _group(group: RunGroup, several: bool) -> Finding:
    values = list(group.by_seed(lambda run: run.test if group.tested else run.validation).values())
    part, name = "test" if group.tested else "validation", f"{group.dataset}, {group.label}".strip(", ")
    before = f"{name}: " if several else ""
    if not values:
        return Finding("open", f"{before}no accuracy was measured.")
    estimate = mean_interval(values)
    text = f"{before}{estimate.mean:.2f} %"
    if len(values) == 1:
        return Finding("look", f"{text} {part} accuracy with one seed: the spread is unknown.")
    text += f" ± {estimate.sd:.2f} {part} accuracy over {len(values)} seeds"
    text += f" (95 % interval of the mean {estimate.low:.2f} to {estimate.high:.2f})."
    if len(values) < ENOUGH:
        return Finding("look", f"{text} Fewer than {ENOUGH} seeds: the spread is poorly known.")
    return Finding("ok", text)
