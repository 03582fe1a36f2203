"""Short names for runs: what they are, or what tells them apart."""

from __future__ import annotations

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
"""The slots of a config, in the order in which a label names them."""
VANILLA = "vanilla-ff"


def run_label(run: RunFile) -> str:
    """What a run is: its preset, and the plugins in which it departs from that (from vanilla when there is none).

    ``trifecta``, ``trifecta+tff-d``, ``symba+batchnorm``, ``vanilla-ff``; the data set is left out.
    """
    preset, names = str(run.config.get("preset") or ""), run_components(run)
    base = _preset(VANILLA) | _preset(preset)
    departs = [name for slot, name in names.items() if slot != "dataset" and name != base.get(slot)]
    return "+".join([preset, *departs] if preset and preset != VANILLA else departs) or VANILLA


def run_components(run: RunFile) -> dict[str, str]:
    """The name of the component in each slot of a run, such as ``{"loss": "symba", "normalizer": "batchnorm"}``.

    Slots that the run's config does not fill are left out.
    """
    return _table_names(run.config)


def run_labels(runs: Sequence[RunFile]) -> list[str]:
    """Short labels, all different, by what differs among the runs: plugins first, then settings, the seed, the file.

    Args:
        runs: one or more.

    Returns:
        A label for each run, in order.
    """
    if len(runs) < 2:
        return [run_label(run) for run in runs]
    labels = _by_plugins(runs)
    settings = [_settings(run) for run in runs]
    for key in sorted({key for one in settings for key in one}, key=lambda key: (key == "seed", key)):
        if len(set(labels)) == len(labels):
            return labels
        values = [one.get(key) for one in settings]
        clash = {label for label in labels if labels.count(label) > 1}
        apart = {la for la in clash if len({v for v, other in zip(values, labels, strict=True) if other == la}) > 1}
        labels = [
            f"{label} {_short(key, value)}".strip() if label in apart else label
            for label, value in zip(labels, values, strict=True)
        ]
    return _with_files(labels, [Path(run.path) for run in runs])


def _by_plugins(runs: Sequence[RunFile]) -> list[str]:
    """Labels by presets where those alone tell the runs apart, else by the plugins that differ and are not vanilla."""
    presets = [str(run.config.get("preset") or VANILLA) for run in runs]
    names = [run_components(run) for run in runs]
    differing = [slot for slot in SLOTS if len({n.get(slot) for n in names}) > 1]
    if not differing:
        return [""] * len(runs)
    if "dataset" not in differing and presets == [run_label(run) for run in runs] and len(set(presets)) == len(runs):
        return presets
    vanilla, labels = _preset(VANILLA), []
    for one in names:
        told = [slot for slot in differing if slot == "dataset" or one.get(slot) != vanilla.get(slot)]
        whole = told if len(differing) > 1 else differing
        pure = all(one.get(slot) == vanilla.get(slot) for slot in SLOTS if slot != "dataset")
        labels.append(
            "+".join(one.get(slot, "?") for slot in whole)
            or (VANILLA if pure else "+".join(one.get(slot, "?") for slot in differing))
        )
    return labels


def _with_files(labels: list[str], paths: list[Path]) -> list[str]:
    """Labels that are still alike, told apart by file, folder or number."""
    for name in (_stem, lambda path: f"{path.parent.name}/{_stem(path)}", str):
        clash = {label for label in labels if labels.count(label) > 1}
        if not clash:
            return labels
        found = [name(path) for path in paths]
        if len(set(found)) == len(found):
            return [f"{la} {f}".strip() if la in clash else la for la, f in zip(labels, found, strict=True)]
    return [f"{label} #{i}".strip() for i, label in enumerate(labels, 1)]


def _stem(path: Path) -> str:
    return path.name.removesuffix(".partial").removesuffix(".h5")


def _short(key: str, value: object) -> str:
    name = key.rpartition(".")[2].replace("_", " ")
    return f"{name} {value}" if name == "seed" else f"{name}={value}"


def _table_names(table: Mapping[str, Any]) -> dict[str, str]:
    chosen = {slot: table.get(slot) for slot in SLOTS}
    named = {slot: c.get("name") if isinstance(c, Mapping) else c for slot, c in chosen.items()}
    return {slot: str(name) for slot, name in named.items() if name}


def _settings(run: RunFile) -> dict[str, str]:
    """Every setting that decides what is learned, by dotted key, as text."""
    found = {"seed": str(run.config.get("seed"))}
    for part in (*SLOTS, "training"):
        table = run.config.get(part)
        if isinstance(table, Mapping):
            found |= {f"{part}.{key}": str(value) for key, value in table.items() if key != "name"}
    return found


@cache
def _preset(name: str) -> dict[str, str]:
    """The components that a preset picks; none when it is not one of ffprobe's own."""
    file = files("ffprobe.config.presets") / f"{name}.toml"
    if not name or "/" in name or not file.is_file():
        return {}
    return _table_names(tomllib.loads(file.read_text(encoding="utf-8")))
