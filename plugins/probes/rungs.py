"""Runs of one network that differ in one number of their update groups: accuracy over seeds, rung by rung."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ffprobe

Groups = list[tuple[int, int]]
NumberOf = Callable[[Groups, int], "int | str"]


@dataclass(frozen=True)
class Rung:
    """The runs of one network with one number, such as a group size.

    Attributes:
        number: what the runs of the other rungs have another of.
        depth: number of layers.
        groups: number of update groups.
        accuracy: in percent, by seed.
        runs: the run files.
    """

    number: int
    depth: int
    groups: int
    accuracy: Mapping[int | str, float]
    runs: tuple[ffprobe.RunFile, ...]

    def gain_over(self, other: Rung) -> ffprobe.GainTest:
        """The gain over another rung in points, paired by seed; NaN without a common seed."""
        common = [seed for seed in self.accuracy if seed in other.accuracy]
        return ffprobe.gain_over_seeds([self.accuracy[seed] - other.accuracy[seed] for seed in common])


@dataclass(frozen=True)
class Ladder:
    """The rungs of one network on one data set, smallest number first."""

    label: str
    rungs: tuple[Rung, ...]


@dataclass(frozen=True)
class Ladders:
    """What ``read_ladders`` found.

    Attributes:
        ladders: one for each set of runs that differ only in the scheduler and the seed.
        part: whose accuracy it is: ``test``, or ``validation`` where some run did not read the test set.
        left_out: sentences about runs that are on no ladder.
    """

    ladders: tuple[Ladder, ...]
    part: str
    left_out: tuple[str, ...]


def update_groups(run: ffprobe.RunFile) -> Groups:
    """The update groups of a run, pairs (a, b) for the layers a to b - 1, from 0.

    Raises:
        FileError: the file was written by a version that did not record them.
    """
    recorded: Any = run.attributes.get("update_groups")
    if not recorded:
        hint = "Train again with this version."
        raise ffprobe.FileError("The file does not record the update groups.", where=str(run.path), hint=hint)
    pairs = [str(text).split("-") for text in recorded]
    return [(int(first) - 1, int(last)) for first, last in pairs]


def read_ladders(runs: Sequence[ffprobe.RunFile], number_of: NumberOf) -> Ladders:
    """Sort runs into ladders.

    Args:
        runs: open run files.
        number_of: the number of a run, from its update groups and its depth; a text that says why it has none.

    Raises:
        UsageError: no run has a number.
    """
    files = {str(run.path): run for run in runs}
    on_ladder: dict[str, dict[int, list[ffprobe.RunGroup]]] = {}
    names: dict[str, tuple[str, Mapping[str, Any]]] = {}
    left_out: dict[str, list[str]] = {}
    for group in ffprobe.group_runs([ffprobe.summarize(run) for run in runs]):
        first = files[str(group.runs[0].path)]
        number = number_of(update_groups(first), len(ffprobe.layer_numbers(first)))
        if isinstance(number, str):
            left_out.setdefault(number, []).append(group.label or group.dataset)
            continue
        body = {key: value for key, value in group.settings.items() if key != "scheduler"}
        key = json.dumps([group.dataset, body, group.runs[0].complete], sort_keys=True, default=str)
        on_ladder.setdefault(key, {}).setdefault(number, []).append(group)
        names[key] = group.dataset, body
    sentences = tuple(f"Left out: {', '.join(labels)} ({why})." for why, labels in left_out.items())
    if not on_ladder:
        raise ffprobe.UsageError("None of these runs belongs on the ladder.", hint=" ".join(sentences))
    tested = all(group.tested for rungs in on_ladder.values() for groups in rungs.values() for group in groups)
    ladders = []
    for key, label in zip(on_ladder, _labels(list(names.values())), strict=True):
        rungs = [_rung(number, groups, files, tested) for number, groups in sorted(on_ladder[key].items())]
        ladders.append(Ladder(label, tuple(rungs)))
    return Ladders(tuple(ladders), "test" if tested else "validation", sentences)


def _rung(number: int, groups: Sequence[ffprobe.RunGroup], files: Mapping[str, ffprobe.RunFile], tested: bool) -> Rung:
    merged = ffprobe.RunGroup("", "", tuple(run for group in groups for run in group.runs), {})
    accuracy = merged.by_seed(lambda run: run.test if tested else run.validation)
    members = tuple(files[str(run.path)] for run in merged.runs)
    return Rung(number, len(ffprobe.layer_numbers(members[0])), len(update_groups(members[0])), accuracy, members)


def _labels(bodies: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """What distinguishes the ladders: the data set where it differs, and settings."""
    several = len({dataset for dataset, _ in bodies}) > 1
    settings = ffprobe.settings_labels([body for _, body in bodies])
    labels = [f"{data if several else ''} {label}".strip() for (data, _), label in zip(bodies, settings, strict=True)]
    return [label if labels.count(label) == 1 else f"{label} #{i}".strip() for i, label in enumerate(labels, 1)]
