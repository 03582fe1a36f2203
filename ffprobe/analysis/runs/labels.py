"""Short labels of runs: the names of their files, or what distinguishes the runs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ffprobe.store.reader import RunFile

SLOTS = (
    "dataset",
    "network",
    "rule",
    "loss",
    "goodness",
    "normalizer",
    "scheduler",
    "encoder",
    "negatives",
    "evaluator",
)
"""The slots of a config, in the order in which they appear in a label."""
VANILLA = "vanilla-ff"
DEFAULT_NAME = re.compile(r"run(-\d+)?")
"""A file name that ``ffprobe run`` chose, not the user; it says nothing about the run."""
LONG_NAME = 24
"""Characters from which a file name is too long for the first column of a table of 80 columns."""


def run_label(run: RunFile) -> str:
    """Return what a run is: its preset and the plugins that differ from it (from vanilla without a preset).

    Examples: ``trifecta``, ``trifecta+tff-d``, ``symba+batchnorm``, ``vanilla-ff``. The data set is omitted.
    """
    return joined_label(*preset_and_changes(run.config))


def preset_and_changes(config: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the preset of a config, ``vanilla-ff`` without one, and the names of the plugins that differ from it.

    The data set is omitted. A preset that ffprobe does not have is compared like vanilla.
    """
    preset, names = str(config.get("preset") or VANILLA), config_components(config)
    base = _preset(VANILLA) | _preset(preset)
    return preset, [name for slot, name in names.items() if slot != "dataset" and name != base.get(slot)]


def joined_label(preset: str, changes: Sequence[str]) -> str:
    """Return a label from a preset and plugins, such as ``trifecta+tff-d``; vanilla is named only if nothing else is.

    Args:
        preset: name of the preset.
        changes: names of the plugins that differ from it.
    """
    return "+".join(changes if preset == VANILLA else [preset, *changes]) or VANILLA


def run_components(run: RunFile) -> dict[str, str]:
    """Return the component name in each slot of a run, such as ``{"loss": "symba", "normalizer": "batchnorm"}``.

    Slots without a component are omitted.
    """
    return config_components(run.config)


def layer_numbers(run: RunFile) -> list[str]:
    """Return the number of each layer as text, first to last: its position, from 1.

    Tables, figures and messages show this number. The names in ``metrics/layer`` are parts of paths in the run file and
    begin at 0 in most networks, so they are not shown.
    """
    return [str(i + 1) for i in range(run.variable("metrics/layer").shape[0])]


def run_labels(runs: Sequence[RunFile]) -> list[str]:
    """Return short unique labels: the names of the files, unless the differences among the runs are a better label.

    The label of ``runs/vanilla.h5`` is ``vanilla``. Files with equal names also get the name of their folder. The
    differences are used where they alone distinguish the runs and either all files have the default name of
    ``ffprobe run`` (``run.h5``, ``run-2.h5``), or a name is longer than 24 characters and no difference is as long.

    Args:
        runs: one or more.

    Returns:
        A label for each run, in order.
    """
    paths = [Path(run.path) for run in runs]
    names, differences = _file_names(paths), _differences(runs)
    if len(set(differences)) < len(runs):
        return names or _with_files(differences, paths)
    longest = max(map(len, names), default=0)
    unnamed = all(DEFAULT_NAME.fullmatch(_stem(path)) for path in paths)
    better = unnamed or (longest > LONG_NAME and longest > max(map(len, differences)))
    return differences if better or not names else names


def difference_labels(runs: Sequence[RunFile]) -> list[str]:
    """Return short unique labels from the differences among runs: plugins first, then settings, the seed, the file.

    Args:
        runs: one or more.
    """
    return _with_files(_differences(runs), [Path(run.path) for run in runs])


def _differences(runs: Sequence[RunFile]) -> list[str]:
    """Labels from plugins, settings and the seed; equal for runs that do not differ in them."""
    if len(runs) < 2:
        return [run_label(run) for run in runs]
    labels = _by_plugins(runs)
    settings = [_settings(run) for run in runs]
    for key in sorted({key for values in settings for key in values}, key=lambda key: (key == "seed", key)):
        if len(set(labels)) == len(labels):
            return labels
        values = [table.get(key) for table in settings]
        repeated = {label for label in labels if labels.count(label) > 1}
        split = {la for la in repeated if len({v for v, other in zip(values, labels, strict=True) if other == la}) > 1}
        labels = [
            f"{label} {_short(key, value)}".strip() if label in split else label
            for label, value in zip(labels, values, strict=True)
        ]
    return labels


def _by_plugins(runs: Sequence[RunFile]) -> list[str]:
    """Labels from presets if those are unique, else from the plugins that differ and are not those of vanilla."""
    presets = [str(run.config.get("preset") or VANILLA) for run in runs]
    names = [run_components(run) for run in runs]
    differing = [slot for slot in SLOTS if len({n.get(slot) for n in names}) > 1]
    if not differing:
        return [""] * len(runs)
    if "dataset" not in differing and presets == [run_label(run) for run in runs] and len(set(presets)) == len(runs):
        return presets
    vanilla, labels = _preset(VANILLA), []
    for components in names:
        changed = [slot for slot in differing if slot == "dataset" or components.get(slot) != vanilla.get(slot)]
        shown = changed if len(differing) > 1 else differing
        unchanged = all(components.get(slot) == vanilla.get(slot) for slot in SLOTS if slot != "dataset")
        labels.append(
            "+".join(components.get(slot, "?") for slot in shown)
            or (VANILLA if unchanged else "+".join(components.get(slot, "?") for slot in differing))
        )
    return labels


def _file_names(paths: Sequence[Path]) -> list[str]:
    """The shortest of name, folder and name, and path that distinguishes the files; empty if one is given twice."""
    for name in (_stem, lambda path: f"{path.parent.name}/{_stem(path)}", str):
        names = [name(path) for path in paths]
        if len(set(names)) == len(names):
            return names
    return []


def _with_files(labels: list[str], paths: Sequence[Path]) -> list[str]:
    """Make labels that are still equal unique by file, or by number."""
    repeated = {label for label in labels if labels.count(label) > 1}
    if names := _file_names(paths):
        return [f"{la} {name}".strip() if la in repeated else la for la, name in zip(labels, names, strict=True)]
    return [f"{label} #{i}".strip() if repeated else label for i, label in enumerate(labels, 1)]


def _stem(path: Path) -> str:
    return path.name.removesuffix(".partial").removesuffix(".h5")


def _short(key: str, value: object) -> str:
    name = key.rpartition(".")[2].replace("_", " ")
    return f"{name} {value}" if name == "seed" else f"{name}={value}"


def config_components(config: Mapping[str, Any]) -> dict[str, str]:
    """Like ``run_components``, of a config or a preset."""
    chosen = {slot: config.get(slot) for slot in SLOTS}
    names = {slot: c.get("name") if isinstance(c, Mapping) else c for slot, c in chosen.items()}
    return {slot: str(name) for slot, name in names.items() if name}


def _settings(run: RunFile) -> dict[str, str]:
    """Every setting that influences what is learned, by dotted key, as text."""
    settings = {"seed": str(run.config.get("seed"))}
    for part in (*SLOTS, "training"):
        table = run.config.get(part)
        if isinstance(table, Mapping):
            settings |= {f"{part}.{key}": str(value) for key, value in table.items() if key != "name"}
    return settings


@cache
def _preset(name: str) -> dict[str, str]:
    """The components that a preset selects; empty if it is not a preset of ffprobe."""
    file = files("ffprobe.config.presets") / f"{name}.toml"
    if not name or "/" in name or not file.is_file():
        return {}
    return config_components(tomllib.loads(file.read_text(encoding="utf-8")))
