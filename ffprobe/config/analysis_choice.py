"""The question that a word names, for ``ffprobe analyze`` and ``ffprobe.analyze`` alike."""

from __future__ import annotations

from typing import Any

from ffprobe.config.parsing import parse_plugin
from ffprobe.config.resolve import validate
from ffprobe.config.settings import Choice
from ffprobe.errors import PluginError, UsageError, did_you_mean
from ffprobe.plugin.registry import Registry


def find_question(text: str, registry: Registry, runs: int) -> Choice:
    """The probe and its settings.

    Args:
        text: a probe's name, ``name:key=value,...``, ``./file.py`` or ``module:attr``.
        registry: where it is found.
        runs: how many run files are asked.

    Raises:
        PluginError: there is no such question; the nearest are named.
        UsageError: it needs more run files, or a setting does not fit.
    """
    what, settings = parse_plugin(text)
    component: Any = _probe(what, registry)
    if runs < component.least_runs:
        need = "a run file" if component.least_runs == 1 else f"{component.least_runs} run files"
        given = f"{runs} given" if runs else "none given"
        hint = f"ffprobe analyze {component.name} run.h5"
        raise UsageError(f"The analysis {component.name!r} needs {need}; {given}.", hint=hint)
    return Choice(component, validate(component.Params, settings, f"probe {component.name!r}"))


def _probe(what: str, registry: Registry) -> Any:
    known = [offer.name for plugin in registry.plugins for offer in plugin.offers if offer.kind == "probe"]
    if what in known:
        return registry.component("probe", what)
    if not what.endswith(".py") and ":" not in what and not any(p.name == what for p in registry.plugins):
        raise PluginError(f"There is no analysis {what!r}.", hint=did_you_mean(what, known))
    found = [c for c in registry.load(what) if c.kind == "probe"]
    if not found:
        raise PluginError(f"The plugin {what!r} offers no probe.", hint=did_you_mean(what, known))
    return found[0]
