"""The toy run: 64 digits, three small convolutions, two epochs; one second of training to try plugins."""

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
"""The settings of the toy run, which override the base preset."""


@dataclass(frozen=True)
class ToyRun:
    """A finished toy run.

    Attributes:
        path: path of the run file.
        outcome: accuracies and times.
        experiment: network, learner and random streams at the end of the run.
        messages: the log of the run file: (number of optimizer steps done, sentence).
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
    """Train for a second with some plugins, and record the run.

    Args:
        plugins: names, paths, ``module:attr`` or modules; a string may have settings, ``name:key=value``.
        out: path of the run file; an existing file is replaced.
        settings: settings that override those of the toy run, as nested tables: ``{"training": {"epochs": 5}}``.
        observers: objects with hooks, such as a ``HookRecorder``.

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
    """A registry with all of these plugins, and each as a word for ``--plugin``."""
    registry, words = Registry(), []
    for plugin in plugins:
        if isinstance(plugin, ModuleType):
            loaded = find_plugin(plugin)
            if loaded not in registry.plugins:
                registry = Registry([*registry.plugins, loaded])
            words.append(loaded.name)
        else:
            words.append(str(plugin))
    return registry, words


def toy_config(registry: Registry, words: Sequence[str], settings: Mapping[str, Any]) -> RunConfig:
    """The base preset, overridden by the toy's settings, plugins and settings; without the preset's probes."""
    table = merge(merge(read_preset(BASE_PRESET), TOY), {"probes": []})
    return resolve(merge(merge(table, picks(words, registry)), settings), registry)


def toy_session(
    registry: Registry, words: Sequence[str], out: Path, settings: Mapping[str, Any], observers: Sequence[Any] = ()
) -> Session:
    """The session of the toy run, built but not started."""
    config = toy_config(registry, words, settings)
    named_observers = [(f"observer-{index}", observer) for index, observer in enumerate(observers)]
    return Session.start(config, registry, out, overwrite=True, observers=named_observers)


def word_for(plugin: Plugin) -> str:
    """The word for ``--plugin`` that means this plugin in a registry of ``registry_with``."""
    return plugin.target if plugin.distribution == "file" else plugin.name


def registry_for(plugin: Plugin) -> Registry:
    """A new registry in which ``word_for(plugin)`` means this plugin and no other."""
    others = [other for other in registry_with(plugin).plugins if other.name != plugin.name or other == plugin]
    return Registry(others)


def numbers_of(run: RunFile) -> dict[str, Any]:
    """Every recorded array that an observer must not change, by path."""
    timed = ("wall_time", "images_per_second", "peak_memory")
    groups = ("weights/", "metrics/", "steps/", "evaluation/", "test/", "final/", "initial/")
    paths = [p for p in run.paths() if p.startswith(groups) and not p.endswith(timed)]
    return {path: run.read(path) for path in paths}


def ended(experiment: Experiment) -> dict[str, torch.Tensor]:
    """The states of the run's random streams at the end, by name."""
    return {name: stream.get_state() for name, stream in experiment.streams.items()}
