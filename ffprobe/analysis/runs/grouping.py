"""Groups of runs that differ only in the seed, and the other differences between those groups."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ffprobe.analysis.runs.labels import SLOTS, difference_labels
from ffprobe.analysis.runs.summary import RunSummary

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

IDLE = frozenset({"num_evaluations", "evaluation_batch", "test"})
"""Training settings that change only when something is measured, not what is learned."""
ENVIRONMENT = (
    "device", "precision", "threads", "training_images", "test_sha256", "ffprobe_version", "torch_version",
    "python_version",
)  # fmt: skip
"""Attributes of a run file that should be equal for runs that are compared."""


@dataclass(frozen=True)
class RunGroup:
    """Runs with equal values of all settings that they were grouped by.

    Attributes:
        dataset: name of the data set.
        label: short text that distinguishes the group from the others, without the data set.
        runs: the runs, in the given order.
        settings: the common values of the settings that they were grouped by, by dotted key.
    """

    dataset: str
    label: str
    runs: tuple[RunSummary, ...]
    settings: Mapping[str, Any]

    @property
    def tested(self) -> bool:
        """Whether every run has a test accuracy."""
        return all(run.test == run.test for run in self.runs)

    def by_seed(self, value: Callable[[RunSummary], float]) -> dict[int | str, float]:
        """Return a number for each seed; the mean of runs with the same seed, as a repetition is not a new sample.

        Args:
            value: returns the number of one run; a run with NaN (not measured) is omitted.
        """
        numbers_of: dict[int | str, list[float]] = {}
        for run in self.runs:
            number = value(run)
            if number == number:
                numbers_of.setdefault(str(run.path) if run.seed is None else run.seed, []).append(number)
        return {seed: sum(numbers) / len(numbers) for seed, numbers in numbers_of.items()}


def group_runs(runs: Sequence[RunSummary], by: Sequence[str] = ()) -> list[RunGroup]:
    """Group runs that differ only in the seed, or that agree in some settings.

    An unfinished run is never grouped with finished runs, nor with unfinished runs of another number of epochs.

    Args:
        runs: in any order; groups are in the order of their first run.
        by: dotted keys of the config, such as ``loss``, ``network.width``, ``training.epochs``, ``precision``; a
            component includes its name and all its settings. The data set is always included. Empty: all settings that
            influence what is learned, except for the seed.

    Returns:
        The groups, those of a data set together; their labels are unique within a data set.
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
    ):  # labels that are unique within a data set are shorter than over all of them
        within = {i: settings for i, (settings, _) in enumerate(groups.values()) if datasets[i] == dataset}
        labels |= zip(within, (_labels_by if by else settings_labels)(list(within.values())), strict=True)
    run_groups = [
        RunGroup(datasets[i], labels[i] + _state(members[0]), tuple(members), settings)
        for i, (settings, members) in enumerate(groups.values())
    ]
    return sorted(run_groups, key=lambda group: datasets.index(group.dataset))


def deciding(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that influence what is learned and how it is evaluated, except data set and seed, by dotted key."""
    settings = {slot: config.get(slot) for slot in SLOTS if slot != "dataset"}
    training = config.get("training")
    if isinstance(training, Mapping):
        settings |= {f"training.{key}": value for key, value in training.items() if key not in IDLE}
    return settings


def seed_groups(runs: Sequence[RunFile]) -> list[list[int]]:
    """Group runs that differ only in the seed, for tests over seeds.

    Args:
        runs: open run files, in any order.

    Returns:
        Indices into ``runs``, in the order of each group's first run. Two runs of the same seed are never in one group,
        because a repetition is not a new sample.
    """
    groups: dict[str, dict[str, int]] = {}
    alone: list[list[int]] = []
    for i, run in enumerate(runs):
        state = None if run.complete else run.epochs
        key = json.dumps([run.config.get("dataset"), state, deciding(run.config)], sort_keys=True, default=str)
        seeds, seed = groups.setdefault(key, {}), str(run.config.get("seed"))
        if seed in seeds:
            alone.append([i])
        else:
            seeds[seed] = i
    return sorted([*(list(seeds.values()) for seeds in groups.values()), *alone])


def group_differences(groups: Sequence[RunGroup], by: Sequence[str] = ()) -> list[str]:
    """Describe, in one sentence each, the differences between runs that make a comparison unfair.

    Settings other than the plugins (epochs, width, learning rate ...), device, precision, threads, versions, the data.
    Runs on different data sets are not compared with each other.

    Args:
        groups: from ``group_runs``.
        by: the keys that they were grouped by.
    """
    notes = []
    for dataset in dict.fromkeys(group.dataset for group in groups):
        within = [group for group in groups if group.dataset == dataset]
        prefix = f"{dataset}: " if len({group.dataset for group in groups}) > 1 else ""
        notes += [f"{prefix}{sentence}" for sentence in _sentences(within, by)]
    return notes


def _sentences(groups: Sequence[RunGroup], by: Sequence[str]) -> list[str]:
    facts = {id(run): _beside(run.config, by) for group in groups for run in group.runs}
    for group in groups:
        for run in group.runs:
            facts[id(run)] |= {name: run.attributes.get(name) for name in ENVIRONMENT}
    sentences, differing = [], {}
    for name in dict.fromkeys(name for fact in facts.values() for name in fact):
        values = {g.label: list(dict.fromkeys(_text(facts[id(run)].get(name)) for run in g.runs)) for g in groups}
        sentences += [f"{name} differs within {label}: {_list(v)}." for label, v in values.items() if len(v) > 1]
        labels_of: dict[str, list[str]] = {}
        for label, group_values in values.items():
            labels_of.setdefault(_list(group_values), []).append(label)
        if len(labels_of) > 1:
            differing[name] = labels_of
    names_of: dict[tuple[str, ...], list[str]] = {}  # one sentence for all settings that split the groups alike
    for name, labels_of in differing.items():
        slot, _, part = name.partition(".")
        if part == "name" or f"{slot}.name" not in differing:  # other components have other settings
            names_of.setdefault(tuple(map(_list, labels_of.values())), []).append(f"{name} ({'; '.join(labels_of)})")
    sentences += [f"Groups differ in {', '.join(names)}: {'; '.join(labels)}." for labels, names in names_of.items()]
    hashes: dict[Any, set[str]] = {}
    for group in groups:  # the validation split depends on the seed, so only runs of equal seeds must agree
        for run in group.runs:
            fraction = str(run.config.get("training", {}).get("validation_fraction"))
            hashes.setdefault((run.seed, fraction), set()).add(str(run.attributes.get("dataset_sha256")))
    if unequal := sorted({str(seed) for (seed, _), different in hashes.items() if len(different) > 1}):
        sentences.append(
            f"The training images differ (dataset_sha256) among runs with the same seed: {_list(unequal)}."
        )
    return sentences


def _beside(config: Mapping[str, Any], by: Sequence[str]) -> dict[str, Any]:
    """The settings of ``deciding`` that were not grouped by: those other than the plugins, or than the keys."""
    flat: dict[str, Any] = {}
    for key, value in deciding(config).items():
        parts = value.items() if isinstance(value, Mapping) else [("", value)]
        flat |= {f"{key}.{part}".rstrip("."): inner for part, inner in parts}
    if by:
        return {k: v for k, v in flat.items() if not any(k == b or k.startswith(f"{b}.") for b in by)}
    plugins = tuple(f"{slot}." for slot in SLOTS if slot != "network")
    return {k: v for k, v in flat.items() if not k.startswith(plugins) and k not in SLOTS and k != "network.name"}


def settings_labels(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a label for each set of settings, from the settings that differ; equal settings have the same label.

    Args:
        settings: values by dotted key, such as those of a group.
    """
    keys = [json.dumps(values, sort_keys=True, default=str) for values in settings]
    unique = dict(zip(keys, settings, strict=True))
    stand_ins: list[Any] = [SimpleNamespace(path=f"{i}", config=_nested(v)) for i, v in enumerate(unique.values())]
    labels = dict(zip(unique, difference_labels(stand_ins), strict=True))
    return [labels[key] for key in keys]


def _labels_by(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The usual labels of components, and ``key=value`` for all other keys."""
    components = [{k: v for k, v in values.items() if k.removesuffix(".name") in SLOTS} for values in settings]
    labels = settings_labels(components) if any(components) else [""] * len(settings)
    rest = [
        " ".join(f"{k.rpartition('.')[2].replace('_', ' ')}={v}" for k, v in values.items() if k not in component)
        for values, component in zip(settings, components, strict=True)
    ]
    return [f"{label} {more}".strip() for label, more in zip(labels, rest, strict=True)]


def _nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A config with only these dotted keys."""
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
