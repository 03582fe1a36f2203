"""What is checked: a plugin found and loaded by whatever name the caller has for it, and its components."""

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
"""By what a plugin may be meant: a name, ``./file.py``, ``module:attr``, a module that was imported."""


@dataclass(frozen=True)
class Subject:
    """One component under test.

    Attributes:
        component: the class.
        params: its settings.
        plugin: where it comes from.
        registry: which loaded it; other components can be had from it.
        data_dir: where the files of data sets lie; None when nothing was said.
    """

    component: type[Component]
    params: BaseModel
    plugin: Plugin
    registry: Registry
    data_dir: Path | None = None

    def build(self) -> Any:
        """A fresh instance with these settings."""
        return self.component(self.params)


def find_plugin(what: What) -> Plugin:
    """The plugin that is meant by a name, a path, ``module:attr`` or a module.

    Raises:
        PluginError: there is none of that name.
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
    """A registry that knows everything installed and this plugin, by its name."""
    others = [other for other in installed() if other != plugin]
    return Registry([*others, plugin])


def subjects(
    plugin: Plugin, settings: Mapping[str, Any] | None = None, data_dir: Path | None = None
) -> tuple[Registry, tuple[Subject, ...]]:
    """Load a plugin: the registry that did, and each component that it offers.

    Args:
        plugin: to be loaded.
        settings: for its component, instead of the defaults.
        data_dir: where the files of data sets lie.

    Raises:
        PluginError: it would not load, or what it offers is no component.
        UsageError: a setting is unknown or out of range, or there is not one component that it could belong to.
    """
    registry = registry_with(plugin)
    offered = registry.take(plugin)
    if settings and len(offered) != 1:
        raise UsageError(f"{plugin.name!r} offers {len(offered)} components; whose settings are meant is not clear.")
    made = []
    for component in offered:
        owner = f"{component.kind} {component.name!r}"
        params = validate(component.Params, settings or {}, owner, component.kind) if settings else _defaults(component)
        made.append(Subject(component, params, plugin, registry, data_dir))
    return registry, tuple(made)


def _defaults(component: type[Component]) -> Any:
    try:
        return component.Params()
    except Exception:  # the check "defaults-build" says so by name
        return None
