"""The subject of a check: a plugin, found by name, path or module, and its components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from pydantic import BaseModel

from ffprobe.components.base import Component
from ffprobe.config.resolve import validate
from ffprobe.errors import UsageError
from ffprobe.plugin.discovery import Plugin, find, installed
from ffprobe.plugin.registry import Registry

What: TypeAlias = "str | Path | ModuleType | Plugin"
"""The ways to specify a plugin: a name, ``./file.py``, ``module:attr``, an imported module."""


@dataclass(frozen=True)
class Subject:
    """One component under test.

    Attributes:
        component: the component class.
        params: its settings.
        plugin: the plugin that offers it.
        registry: the registry that loaded it, which also has other components.
        data_dir: folder with the files of data sets; None if the caller gave none.
    """

    component: type[Component]
    params: BaseModel
    plugin: Plugin
    registry: Registry
    data_dir: Path | None = None

    def build(self) -> Any:
        """A new instance with these settings."""
        return self.component(self.params)


def find_plugin(what: What) -> Plugin:
    """The plugin with this name, path, ``module:attr`` or module.

    Raises:
        PluginError: there is no plugin of that name.
        UsageError: there is no such file.
    """
    if isinstance(what, Plugin):
        return what
    if isinstance(what, ModuleType):
        known = next((p for p in installed() if p.target == what.__name__), None)
        return known or Plugin(what.__name__, "module", "", what.__name__)
    if isinstance(what, Path):
        what = str(what.resolve())
    return find(what)


def registry_with(plugin: Plugin) -> Registry:
    """A registry with all installed plugins and this plugin."""
    others = [other for other in installed() if other != plugin]
    return Registry([*others, plugin])


def subjects(
    plugin: Plugin, settings: Mapping[str, Any] | None = None, data_dir: Path | None = None
) -> tuple[Registry, tuple[Subject, ...]]:
    """Load a plugin: the registry that loaded it, and each component that it offers.

    Args:
        plugin: the plugin.
        settings: settings for its component, in place of the defaults.
        data_dir: folder with the files of data sets.

    Raises:
        PluginError: the plugin cannot be loaded, or it offers something that is not a component.
        UsageError: a setting is unknown or out of range, or the plugin does not offer exactly one component.
    """
    registry = registry_with(plugin)
    offered = registry.take(plugin)
    if settings and len(offered) != 1:
        raise UsageError(
            f"{plugin.name!r} offers {len(offered)} components, so settings are ambiguous.",
            hint="Check one component: name it as module:attr.",
        )
    made = []
    for component in offered:
        owner = f"{component.kind} {component.name!r}"
        params = validate(component.Params, settings or {}, owner, component.kind) if settings else _defaults(component)
        made.append(Subject(component, params, plugin, registry, data_dir))
    return registry, tuple(made)


def _defaults(component: type[Component]) -> Any:
    try:
        return component.Params()
    except Exception:  # the check "defaults-build" reports it
        return None
