"""Which component a name means, and which plugin supplies it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ffprobe.components import KINDS, Component
from ffprobe.discovery import Plugin, build_manager, find, installed, register
from ffprobe.errors import PluginError, did_you_mean


@dataclass(frozen=True)
class Provided:
    """A component class and the plugin it came from."""

    component: type[Component]
    plugin: Plugin


class Registry:
    """Loads plugins by name and remembers what they provide; one for each run or command, never global.

    Args:
        plugins: what is installed; asked of the environment when not given.
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
        """Load the plugin that ``name`` means and return what it is picked for.

        Returns:
            The component of that name if the plugin has one, else everything it offers (nothing for a pure observer).

        Raises:
            PluginError: not found, would not load, or what it offers breaks the contract.
            UsageError: a plugin file does not exist.
        """
        plugin = find(name, self.plugins)
        if plugin not in self._loaded:
            self._loaded[plugin] = self._components(plugin)
        offered = self._loaded[plugin]
        return [c for c in offered if c.name == name] or offered

    def component(self, kind: str, name: str, plugin: str = "") -> type[Component]:
        """The component of this kind and name.

        Args:
            kind: one of ``ffprobe.components.KINDS``.
            name: the component's name.
            plugin: where to load it from when its own name does not say so (a file, ``module:attr``).

        Raises:
            PluginError: there is none; the nearest names of that kind are given.
        """
        known = self._provided.get((kind, name))
        if known is None:
            if not plugin and not self._announced(kind, name):
                names = sorted({o.name for p in self.plugins for o in p.offers if o.kind == kind})
                other = next((o.kind for p in self.plugins for o in p.offers if o.name == name), None)
                hint = f"{name!r} is a {other}. " if other else ""
                raise PluginError(f"There is no {kind} {name!r}.", do=hint + did_you_mean(name, names))
            self.load(plugin or name)
            known = self._provided.get((kind, name))
        if known is None:
            raise PluginError(f"The plugin {plugin or name!r} offers no {kind} {name!r}.")
        return known.component

    def provider(self, component: type[Component]) -> Plugin:
        """The plugin that supplied this component."""
        return self._provided[component.kind, component.name].plugin

    def by_alias(self, kind: str, alias: str) -> str | None:
        """The name of the component of this kind that goes by ``alias`` (or has that name), without loading it."""
        for plugin in self.plugins:
            for offer in plugin.offers:
                if offer.kind == kind and alias in (offer.name, *offer.aliases):
                    return offer.name
        return None

    def _announced(self, kind: str, name: str) -> bool:
        # a plugin whose source cannot be read ahead is given the chance to answer for its own name
        return any(
            p.name == name if not p.offers else any((o.kind, o.name) == (kind, name) for o in p.offers)
            for p in self.plugins
        )

    def _components(self, plugin: Plugin) -> list[type[Component]]:
        loaded = plugin.load()
        if inspect.isclass(loaded) and issubclass(loaded, Component):
            offered: Any = [loaded]
        else:
            offered = self._ask(plugin, loaded)
        for component in offered:
            self._admit(plugin, component)
        return list(offered)

    def _ask(self, plugin: Plugin, loaded: object) -> list[Any]:
        key = f"{plugin.distribution}/{plugin.name}"
        register(self.manager, loaded, key, plugin.where)
        callers = self.manager.get_hookcallers(loaded) or []
        if not callers:
            raise PluginError(
                f"The plugin {plugin.name!r} implements no hook.",
                where=plugin.where,
                do="Mark its functions with @ffprobe.hookimpl; ffprobe_components() returns a list of components.",
            )
        if not any(caller.name == "ffprobe_components" for caller in callers):
            return []
        others = [p for p in self.manager.get_plugins() if p is not loaded]
        try:
            answers = self.manager.subset_hook_caller("ffprobe_components", others)()
        except Exception as error:
            raise PluginError(
                f"ffprobe_components of the plugin {plugin.name!r} failed: {type(error).__name__}: {error}.",
                where=plugin.where,
            ) from error
        if not answers or not isinstance(answers[0], list | tuple):
            got = type(answers[0]).__name__ if answers else "None"
            raise PluginError(
                f"ffprobe_components of the plugin {plugin.name!r} returned {got}, not a list of component classes.",
                where=plugin.where,
                do="Is a return forgotten?",
            )
        return list(answers[0])

    def _admit(self, plugin: Plugin, component: Any) -> None:
        problem = _problem(component)
        if problem:
            raise PluginError(f"The plugin {plugin.name!r} offers {problem}.", where=plugin.where)
        key = (component.kind, component.name)
        present = self._provided.get(key)
        if present and present.plugin != plugin:
            raise PluginError(
                f"Two plugins supply the {component.kind} {component.name!r}: "
                f"{present.plugin.where} and {plugin.where}.",
                do="Name only one of them, or rename one.",
            )
        self._provided[key] = Provided(component, plugin)


def _problem(component: Any) -> str:
    if not (inspect.isclass(component) and issubclass(component, Component)):
        return f"{component!r}, which is not a component class"
    if component.kind not in KINDS:
        return f"{component.__name__}, which has no kind: derive it from ffprobe.Normalizer or another kind"
    if not isinstance(component.name, str) or not component.name:
        return f"{component.__name__}, which has no name: set the class attribute name"
    if inspect.isabstract(component):
        return f"{component.__name__}, which lacks {', '.join(sorted(component.__abstractmethods__))}"
    return ""
