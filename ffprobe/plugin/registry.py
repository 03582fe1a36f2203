"""Finds the component for a name, and the plugin that provides it."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ffprobe.components.base import Component
from ffprobe.components.kinds import KINDS
from ffprobe.errors import PluginError, describe, did_you_mean
from ffprobe.plugin.discovery import Plugin, build_manager, find, installed, refuse, register, split_choice
from ffprobe.plugin.hook_mistakes import HOOKS, Mistake, hook_mistake, version_mistake

log = logging.getLogger("ffprobe")


@dataclass(frozen=True)
class Provided:
    """A component class and the plugin that provides it."""

    component: type[Component]
    plugin: Plugin


class Registry:
    """Loads plugins by name and keeps the components that they provide. Each run or command has its own registry.

    Args:
        plugins: the available plugins; those installed in the environment by default.
    """

    def __init__(self, plugins: Sequence[Plugin] | None = None) -> None:
        self.plugins = tuple(installed() if plugins is None else plugins)
        self.manager = build_manager()
        self._loaded: dict[Plugin, list[type[Component]]] = {}
        self._provided: dict[tuple[str, str], Provided] = {}

    @property
    def loaded(self) -> tuple[Plugin, ...]:
        """The plugins loaded so far, in order."""
        return tuple(self._loaded)

    def load(self, name: str) -> list[type[Component]]:
        """Load a plugin by name.

        Args:
            name: a plugin's or component's name, ``./file.py``, ``./file.py:COMPONENT`` (a class name or a component's
                name) or ``module:attr``.

        Returns:
            The component of that name if the plugin has one, otherwise all its components; an empty list for a plugin
            that has only observer hooks.

        Raises:
            PluginError: the plugin is missing, cannot be loaded, or provides something invalid.
            UsageError: the plugin file does not exist.
        """
        file, choice = split_choice(name)
        offered = self.take(find(file, self.plugins))
        chosen = [c for c in offered if (choice or name) in ((c.name, c.__name__) if choice else (c.name,))]
        if choice and not chosen:
            names = ", ".join(f"{c.__name__} ({c.kind} {c.name!r})" for c in offered)
            raise PluginError(
                f"The plugin file {file!r} provides no component {choice!r}.",
                hint=f"It provides {names or 'no component'}. Every component must be in the list that "
                "ffprobe_components returns.",
            )
        return chosen or offered

    def take(self, plugin: Plugin) -> list[type[Component]]:
        """Load a plugin and return all its components.

        Raises:
            PluginError: the plugin cannot be loaded, or provides something invalid.
        """
        if plugin not in self._loaded:
            self._loaded[plugin] = self._components(plugin)
        return self._loaded[plugin]

    def component(self, kind: str, name: str, plugin: str = "") -> type[Component]:
        """The component of this kind and name; its plugin is loaded if necessary.

        Args:
            kind: one of ``ffprobe.components.kinds.KINDS``.
            name: the component's name.
            plugin: what to load it from (a file, ``module:attr``); empty if its name is enough.

        Raises:
            PluginError: there is none; the message suggests the closest names of that kind.
        """
        known = self._provided.get((kind, name))
        if known is None:
            if not plugin and not self._announced(kind, name):
                names = sorted({o.name for p in self.plugins for o in p.offers if o.kind == kind})
                other = next((o.kind for p in self.plugins for o in p.offers if o.name == name), None)
                hint = f"{name!r} is a {other}. " if other else ""
                raise PluginError(f"There is no {kind} {name!r}.", hint=hint + did_you_mean(name, names))
            self.take(find(plugin or name, self.plugins, "" if plugin else kind))
            known = self._provided.get((kind, name))
        if known is None:
            raise PluginError(f"The plugin {plugin or name!r} provides no {kind} {name!r}.")
        return known.component

    def provider(self, component: type[Component]) -> Plugin:
        """The plugin that provides this component."""
        return self._provided[component.kind, component.name].plugin

    def by_alias(self, kind: str, alias: str) -> str | None:
        """The name of the component of this kind that has the alias or the name ``alias``; None if there is none.

        No plugin is loaded.
        """
        for plugin in self.plugins:
            for offer in plugin.offers:
                if offer.kind == kind and alias in (offer.name, *offer.aliases):
                    return offer.name
        return None

    def _announced(self, kind: str, name: str) -> bool:
        # a plugin whose source text announces nothing may still provide a component of its own name
        return any(
            p.name == name if not p.offers else any((o.kind, o.name) == (kind, name) for o in p.offers)
            for p in self.plugins
        )

    def _components(self, plugin: Plugin) -> list[type[Component]]:
        loaded = plugin.load()
        refuse(plugin, version_mistake(_declared_version(loaded)))
        if inspect.isclass(loaded) and issubclass(loaded, Component):
            offered: Any = [loaded]
        else:
            offered = self._ask(plugin, loaded)
        for component in offered:
            self._admit(plugin, component)
        return list(offered)

    def _ask(self, plugin: Plugin, loaded: object) -> list[Any]:
        key = f"{plugin.distribution}/{plugin.name}"
        count = 2
        while self.manager.has_plugin(key):  # two files of one name in two folders
            key, count = f"{plugin.distribution}/{plugin.name}-{count}", count + 1
        register(self.manager, loaded, key, plugin.where, plugin.name)
        callers = self.manager.get_hookcallers(loaded) or []
        if not callers:
            raise PluginError(
                f"The plugin {plugin.name!r} implements no hook.",
                where=plugin.where,
                hint="Mark its functions with @ffprobe.hookimpl; ffprobe_components() returns a list of components.",
            )
        if not any(caller.name == "ffprobe_components" for caller in callers):
            return []
        others = [p for p in self.manager.get_plugins() if p is not loaded]
        try:
            returned = self.manager.subset_hook_caller("ffprobe_components", others)()
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"ffprobe_components of the plugin {plugin.name!r} failed: {describe(error)}.",
                where=plugin.where,
            ) from error
        offered = returned[0] if returned else None
        if not isinstance(offered, list | tuple):
            returned, hint = _not_a_list(offered)
            raise PluginError(
                f"ffprobe_components of the plugin {plugin.name!r} returned {returned}, not a list of classes.",
                where=plugin.where,
                hint=hint,
            )
        return list(offered)

    def _admit(self, plugin: Plugin, component: Any) -> None:
        problem, hint = _problem(component)
        if problem:
            raise PluginError(f"The plugin {plugin.name!r} provides {problem}.", where=plugin.where, hint=hint)
        refuse(plugin, hook_mistake(component) or _silent_hook(component))
        key = (component.kind, component.name)
        present = self._provided.get(key)
        if present and present.plugin == plugin and present.component is not component:
            raise PluginError(
                f"The plugin {plugin.name!r} provides two {component.kind} components named {component.name!r}: "
                f"{present.component.__name__} and {component.__name__}.",
                where=plugin.where,
                hint="Rename one of them.",
            )
        if present and present.plugin != plugin:
            raise PluginError(
                f"Two plugins provide the {component.kind} {component.name!r}: "
                f"{present.plugin.where} and {plugin.where}.",
                hint="Use only one of them, or rename one.",
            )
        self._provided[key] = Provided(component, plugin)


def registered(kind: str) -> dict[str, type[Component]]:
    """All installed components of one kind by name, sorted; their plugins are loaded.

    A plugin that cannot be loaded is skipped with a warning.

    Args:
        kind: ``loss``, ``normalizer`` ... (one of ``ffprobe.components.kinds.KINDS``).

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"no kind {kind!r}; there are {sorted(KINDS)}")
    registry = Registry()
    components = {}
    for name in sorted({o.name for plugin in registry.plugins for o in plugin.offers if o.kind == kind}):
        try:
            components[name] = registry.component(kind, name)
        except PluginError as error:
            log.warning("%s", error)
    return components


def _problem(component: Any) -> tuple[str, str]:
    """The problem with a provided component, and a hint; two empty strings if it is valid."""
    if isinstance(component, Component):
        made = type(component).__name__
        return f"an instance of {made}, not the class", f"Return {made} itself, without the parentheses."
    if not (inspect.isclass(component) and issubclass(component, Component)):
        problem = f"{component!r}, which is not a component class"
        return problem, "Derive a class from ffprobe.Normalizer or another base class."
    name = component.__name__
    if component.kind not in KINDS:
        return f"{name}, which has no kind", "Derive it from ffprobe.Normalizer or another base class."
    if not isinstance(component.name, str) or not component.name:
        return f"{name}, which has no name", 'Set the class attribute name = "..."; users type this name.'
    if inspect.isabstract(component):
        missing = ", ".join(sorted(component.__abstractmethods__))
        return f"{name}, which lacks {missing}", f"`help(ffprobe.{_base(component)})` describes what to implement."
    return "", ""


def _base(component: type[Component]) -> str:
    return KINDS[component.kind]


def _not_a_list(offered: Any) -> tuple[str, str]:
    """What was returned instead of a list of classes, and a hint."""
    if offered is None:
        return "None", "Is the return statement missing? Write return [YourClass]."
    if isinstance(offered, type):
        return f"the class {offered.__name__}", f"Put it into a list: return [{offered.__name__}]."
    return type(offered).__name__, "Write return [YourClass]."


def _silent_hook(component: type[Component]) -> Mistake | None:
    # of all components only probes and observers are registered for hooks; in any other kind they are never called
    hooks = [name for name in HOOKS if callable(getattr(component, name, None))]
    if not hooks or component.kind in ("probe", "observer"):
        return None
    return Mistake(
        f"has the hook {hooks[0]} in the {component.kind} {component.__name__}, where it is never called",
        "Define it as a function of the module, or in an ffprobe.Probe or ffprobe.Observer.",
    )


def _declared_version(loaded: Any) -> Any:
    module = loaded if inspect.ismodule(loaded) else sys.modules.get(getattr(loaded, "__module__", ""))
    return getattr(module, "hook_version", None)
