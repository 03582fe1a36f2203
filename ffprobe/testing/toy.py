"""A run of a second: 64 digits, three small convolutions, two epochs; to try plugins in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from ffprobe.config.parsing import merge
from ffprobe.config.preset_files import BASE_PRESET, read_preset
from ffprobe.config.resolve import picks, resolve
from ffprobe.config.settings import RunConfig
from ffprobe.plugin.discovery import Plugin
from ffprobe.plugin.registry import Registry
from ffprobe.store.reader import RunFile, open_run
from ffprobe.testing.randomness import undisturbed
from ffprobe.testing.subject import find_plugin, registry_with
from ffprobe.training.experiment import Experiment
from ffprobe.training.session import Session
from ffprobe.training.trainer import Outcome

TOY: dict[str, Any] = {
    "dataset": {"name": "digits"},
    "network": {"name": "tiny", "width": 0.125},
    "precision": "fp32",
    "device": "cpu",
    "training": {"epochs": 2, "batch_size": 32, "max_images": 64, "evaluation_batch": 512, "augmentation": False},
    "recording": {"samples": 80, "max_features": 16},
}
"""What the toy run sets over the base preset."""


@dataclass(frozen=True)
class ToyRun:
    """A finished toy run.

    Attributes:
        path: of the run file.
        outcome: accuracies and times.
        experiment: network, learner and streams as they ended.
        messages: what the file's log says: (optimizer steps done, sentence).
    """

    path: Path
    outcome: Outcome
    experiment: Experiment
    messages: tuple[tuple[int, str], ...]

    def open(self) -> RunFile:
        """The run file, open for reading; close it, or use ``with``."""
        return open_run(self.path)


def toy_run(
    *plugins: str | Path | ModuleType,
    out: Path,
    settings: Mapping[str, Any] | None = None,
    observers: Sequence[Any] = (),
) -> ToyRun:
    """Train for a second with some plugins, and record it.

    Args:
        plugins: names, paths, ``module:attr`` or modules; a text may have settings, ``name:key=value``.
        out: the run file; an existing one is replaced.
        settings: more of the config over the toy's, as nested tables: ``{"training": {"epochs": 5}}``.
        observers: more objects with hooks, such as a ``HookRecorder``.

    Raises:
        FfprobeError: the run failed; the message names the plugin.
    """
    with undisturbed():
        registry, words = named(plugins)
        session = toy_session(registry, words, out, settings or {}, observers)
        outcome = session.run()
    with open_run(out) as run:
        messages = tuple(run.messages())
    return ToyRun(out, outcome, session.experiment, messages)


def named(plugins: Sequence[str | Path | ModuleType]) -> tuple[Registry, list[str]]:
    """A registry that knows all of these, and each as ``--plugin`` would say it."""
    registry, words = Registry(), []
    for plugin in plugins:
        if isinstance(plugin, ModuleType):
            found = find_plugin(plugin)
            if found not in registry.plugins:
                registry = Registry([*registry.plugins, found])
            words.append(found.name)
        else:
            words.append(str(plugin))
    return registry, words


def toy_config(registry: Registry, words: Sequence[str], settings: Mapping[str, Any]) -> RunConfig:
    """The base preset, the toy over it, then plugins, then settings; probes of the preset are left out."""
    table = merge(merge(read_preset(BASE_PRESET), TOY), {"probes": []})
    return resolve(merge(merge(table, picks(words, registry)), settings), registry)


def toy_session(
    registry: Registry, words: Sequence[str], out: Path, settings: Mapping[str, Any], observers: Sequence[Any] = ()
) -> Session:
    """The toy run, built but not begun."""
    config = toy_config(registry, words, settings)
    watching = [(f"observer-{index}", observer) for index, observer in enumerate(observers)]
    return Session(config, registry, out, overwrite=True, observers=watching)


def word_for(plugin: Plugin) -> str:
    """What ``--plugin`` is given for a plugin that a registry of ``registry_with`` knows."""
    return plugin.target if plugin.distribution == "file" else plugin.name


def registry_for(plugin: Plugin) -> Registry:
    """A fresh registry in which ``word_for(plugin)`` means this plugin and no other."""
    others = [other for other in registry_with(plugin).plugins if other.name != plugin.name or other == plugin]
    return Registry(others)


def numbers_of(run: RunFile) -> dict[str, Any]:
    """Every recorded array that a plugin that only watches must not change, by path."""
    timed = ("wall_time", "images_per_second", "peak_memory")
    groups = ("weights/", "metrics/", "steps/", "evaluation/", "test/", "final/", "initial/")
    paths = [p for p in run.paths() if p.startswith(groups) and not p.endswith(timed)]
    return {path: run.read(path) for path in paths}


def ended(experiment: Experiment) -> dict[str, torch.Tensor]:
    """Where the run's random streams stand, by name."""
    return {name: stream.get_state() for name, stream in experiment.streams.items()}
