"""Selecting an analysis by name, for ``ffprobe analyze`` and ``ffprobe.analyze``."""

from __future__ import annotations

from typing import Any

from ffprobe.config.parsing import parse_plugin
from ffprobe.config.resolve import validate
from ffprobe.config.settings import Choice
from ffprobe.errors import PluginError, UsageError, did_you_mean
from ffprobe.plugin.registry import Registry


def find_question(text: str, registry: Registry, runs: int) -> Choice:
    """The probe that ``text`` names, with its settings.

    Args:
        text: a probe's name, ``name:key=value,...``, ``./file.py`` or ``module:attr``.
        registry: the plugins to search.
        runs: the number of run files that will be analyzed.

    Raises:
        PluginError: there is no such analysis; the message suggests the closest names.
        UsageError: the analysis needs more run files, or a setting is invalid.
    """
    name, settings = parse_plugin(text)
    component: Any = _probe(name, registry)
    if runs < component.least_runs:
        need = "a run file" if component.least_runs == 1 else f"{component.least_runs} run files"
        given = f"{runs} given" if runs else "none given"
        hint = f"ffprobe analyze {component.name} run.h5"
        raise UsageError(f"The analysis {component.name!r} needs {need}; {given}.", hint=hint)
    return Choice(component, validate(component.Params, settings, f"probe {component.name!r}"))


def _probe(name: str, registry: Registry) -> Any:
    known = [offer.name for plugin in registry.plugins for offer in plugin.offers if offer.kind == "probe"]
    if name in known:
        return registry.component("probe", name)
    if not name.endswith(".py") and ":" not in name and not any(p.name == name for p in registry.plugins):
        raise PluginError(f"There is no analysis {name!r}.", hint=did_you_mean(name, known))
    probes = [component for component in registry.load(name) if component.kind == "probe"]
    if not probes:
        raise PluginError(f"The plugin {name!r} provides no probe.", hint=did_you_mean(name, known))
    return probes[0]
