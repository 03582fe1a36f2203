"""Runs that differ in nothing but the seed, put together; and what else differs between those groups."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from ffprobe.analysis.runs.labels import SLOTS, run_labels
from ffprobe.analysis.runs.summary import RunSummary

IDLE = frozenset({"num_evaluations", "evaluation_batch", "test"})
"""Settings of training that change what is measured when, and nothing of what is learned."""
CIRCUMSTANCES = (
    "device", "precision", "threads", "training_images", "test_sha256", "ffprobe_version", "torch_version",
    "python_version",
)  # fmt: skip
"""Attributes of a file that should be equal where runs are compared."""


@dataclass(frozen=True)
class RunGroup:
    """Runs that have everything in common that they were grouped by.

    Attributes:
        dataset: the data set's name.
        label: what tells the group from the others, in words; the data set is left out.
        runs: in the order in which they were given.
        settings: what they have in common of what they were grouped by: values by dotted key.
    """

    dataset: str
    label: str
    runs: tuple[RunSummary, ...]
    settings: Mapping[str, Any]

    @property
    def tested(self) -> bool:
        """Whether every run has read the test set."""
        return all(run.test == run.test for run in self.runs)

    def by_seed(self, value: Callable[[RunSummary], float]) -> dict[int | str, float]:
        """A number of each seed, by seed; of runs that repeat a seed the mean, since a repetition is no new draw.

        Args:
            value: the number of one run; NaN where it was not measured, which leaves the run out.
        """
        found: dict[int | str, list[float]] = {}
        for run in self.runs:
            number = value(run)
            if number == number:
                found.setdefault(str(run.path) if run.seed is None else run.seed, []).append(number)
        return {seed: sum(numbers) / len(numbers) for seed, numbers in found.items()}


def group_runs(runs: Sequence[RunSummary], by: Sequence[str] = ()) -> list[RunGroup]:
    """Put runs together that differ in nothing but the seed, or that agree in some settings.

    An unfinished run never joins finished ones, nor unfinished ones of another length.

    Args:
        runs: in any order; groups come in the order of their first run.
        by: dotted keys of the config, ``loss``, ``network.width``, ``training.epochs``, ``precision``; a component
            stands for its name and all its settings. The data set always counts. Empty: all that decides what is
            learned but the seed.

    Returns:
        The groups, those of a data set together; their labels differ within a data set.
    """
    groups: dict[str, tuple[dict[str, Any], list[RunSummary]]] = {}
    for run in runs:
        settings = deciding(run.config) if not by else {key: _value(run.config, key) for key in by}
        state = None if run.complete else run.epochs
        key = json.dumps([_dataset(run), state, settings], sort_keys=True, default=str)
        groups.setdefault(key, (settings, []))[1].append(run)
    datasets = [_name(_dataset(members[0])) for _, members in groups.values()]
    labels: dict[int, str] = {}
    for dataset in dict.fromkeys(
        datasets
    ):  # what tells groups apart within a data set is shorter than over all of them
        own = {i: told for i, (told, _) in enumerate(groups.values()) if datasets[i] == dataset}
        labels |= zip(own, (_labels_by if by else settings_labels)(list(own.values())), strict=True)
    found = [
        RunGroup(datasets[i], labels[i] + _state(members[0]), tuple(members), told)
        for i, (told, members) in enumerate(groups.values())
    ]
    return sorted(found, key=lambda group: datasets.index(group.dataset))


def deciding(config: Mapping[str, Any]) -> dict[str, Any]:
    """All of a config that decides what is learned and how it is read, but the data set and the seed, by dotted key."""
    found = {slot: config.get(slot) for slot in SLOTS if slot != "dataset"}
    training = config.get("training")
    if isinstance(training, Mapping):
        found |= {f"training.{key}": value for key, value in training.items() if key not in IDLE}
    return found


def group_differences(groups: Sequence[RunGroup], by: Sequence[str] = ()) -> list[str]:
    """A sentence for everything in which runs differ that should be equal for a fair comparison.

    Settings beside the plugins (epochs, width, learning rate ...), device, precision, threads, versions, the data.
    Runs on different data sets are not held against each other.

    Args:
        groups: from ``group_runs``.
        by: what they were grouped by.
    """
    notes = []
    for dataset in dict.fromkeys(group.dataset for group in groups):
        own = [group for group in groups if group.dataset == dataset]
        where = f"{dataset}: " if len({group.dataset for group in groups}) > 1 else ""
        notes += [f"{where}{sentence}" for sentence in _sentences(own, by)]
    return notes


def _sentences(groups: Sequence[RunGroup], by: Sequence[str]) -> list[str]:
    facts = {id(run): _beside(run.config, by) for group in groups for run in group.runs}
    for group in groups:
        for run in group.runs:
            facts[id(run)] |= {name: run.attributes.get(name) for name in CIRCUMSTANCES}
    found, apart = [], {}
    for name in dict.fromkeys(name for own in facts.values() for name in own):
        values = {g.label: list(dict.fromkeys(_text(facts[id(run)].get(name)) for run in g.runs)) for g in groups}
        found += [f"{name} differs inside {label}: {_list(own)}." for label, own in values.items() if len(own) > 1]
        holders: dict[str, list[str]] = {}
        for label, own in values.items():
            holders.setdefault(_list(own), []).append(label)
        if len(holders) > 1:
            apart[name] = holders
    sides: dict[tuple[str, ...], list[str]] = {}  # what parts the groups in the same way is told in one sentence
    for name, holders in apart.items():
        slot, _, part = name.partition(".")
        if part == "name" or f"{slot}.name" not in apart:  # other components have other settings
            sides.setdefault(tuple(map(_list, holders.values())), []).append(f"{name} ({'; '.join(holders)})")
    found += [f"Groups differ in {', '.join(told)}: {'; '.join(labels)}." for labels, told in sides.items()]
    hashes: dict[Any, set[str]] = {}
    for group in groups:  # what is held out for validation depends on the seed, so only equal seeds must agree
        for run in group.runs:
            hashes.setdefault((run.seed, str(run.config.get("training", {}).get("validation"))), set()).add(
                str(run.attributes.get("dataset_sha256"))
            )
    if unequal := sorted({str(seed) for (seed, _), found_ in hashes.items() if len(found_) > 1}):
        found.append(f"The training images differ (dataset_sha256) among runs of the same seed: {_list(unequal)}.")
    return found


def _beside(config: Mapping[str, Any], by: Sequence[str]) -> dict[str, Any]:
    """The deciding settings that were not grouped by: beside the plugins, or beside the keys."""
    flat: dict[str, Any] = {}
    for key, value in deciding(config).items():
        parts = value.items() if isinstance(value, Mapping) else [("", value)]
        flat |= {f"{key}.{part}".rstrip("."): inner for part, inner in parts}
    if by:
        return {k: v for k, v in flat.items() if not any(k == b or k.startswith(f"{b}.") for b in by)}
    plugins = tuple(f"{slot}." for slot in SLOTS if slot != "network")
    return {k: v for k, v in flat.items() if not k.startswith(plugins) and k not in SLOTS and k != "network.name"}


def settings_labels(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """A label for each set of settings, by what tells them apart; equal settings have the same.

    Args:
        settings: values by dotted key, such as a group's.
    """
    keys = [json.dumps(one, sort_keys=True, default=str) for one in settings]
    unique = dict(zip(keys, settings, strict=True))
    stand_ins: list[Any] = [SimpleNamespace(path=f"{i}", config=_nested(one)) for i, one in enumerate(unique.values())]
    labels = dict(zip(unique, run_labels(stand_ins), strict=True))
    return [labels[key] for key in keys]


def _labels_by(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Labels of components as always, and ``key=value`` for whatever else was grouped by."""
    named = [{k: v for k, v in one.items() if k.removesuffix(".name") in SLOTS} for one in settings]
    labels = settings_labels(named) if any(named) else [""] * len(settings)
    rest = [
        " ".join(f"{k.rpartition('.')[2].replace('_', ' ')}={v}" for k, v in one.items() if k not in name)
        for one, name in zip(settings, named, strict=True)
    ]
    return [f"{label} {more}".strip() for label, more in zip(labels, rest, strict=True)]


def _nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A config with these dotted keys and nothing else."""
    config: dict[str, Any] = {}
    for key, value in settings.items():
        first, _, rest = key.partition(".")
        if rest and isinstance(config.setdefault(first, {}), dict):
            config[first][rest] = value
        elif not rest:
            config[first] = value
    return config


def _value(config: Mapping[str, Any], key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _dataset(run: RunSummary) -> Any:
    return run.config.get("dataset")


def _name(table: Any) -> str:
    return str(table.get("name") if isinstance(table, Mapping) else table)


def _state(run: RunSummary) -> str:
    return "" if run.complete else f" (unfinished, {run.epochs} epochs)"


def _text(value: object) -> str:
    text = str(value)
    return f"{text[:8]}..." if len(text) == 64 else text  # a hash


def _list(texts: Sequence[str], most: int = 4) -> str:
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more
