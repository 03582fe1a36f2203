"""Component classes and instances that a program hands in as plugins."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from ffprobe.components.base import Component
from ffprobe.components.kinds import KINDS
from ffprobe.errors import UsageError
from ffprobe.plugin.given import give

HINT = 'Give a list of words as --plugin takes them, classes, or instances: ["olu", MyLoss, MyNormalizer(power=2)].'


def plugin_words(plugins: Sequence[Any]) -> tuple[str, ...]:
    """The plugins of a call, each as a word.

    Args:
        plugins: words, component classes, and instances of component classes with their settings.

    Raises:
        UsageError: something else, or an instance that its settings do not determine.
    """
    if isinstance(plugins, str) or not isinstance(plugins, Sequence):
        raise UsageError(f"plugins must be a list, not {plugins!r}.", hint=HINT)
    return tuple(plugin if isinstance(plugin, str) else _word(plugin) for plugin in plugins)


def _word(plugin: Any) -> str:
    if inspect.isclass(plugin) and issubclass(plugin, Component):
        return give(_named(plugin))
    if not isinstance(plugin, Component):
        what = f"the class {plugin.__qualname__}" if inspect.isclass(plugin) else repr(plugin)
        raise UsageError(f"plugins has {what}, which is neither a word nor a component.", hint=HINT)
    made = _named(type(plugin))
    if not made.__init__.__module__.startswith("ffprobe."):
        raise UsageError(
            f"plugins has an instance of {made.__qualname__}, whose own __init__ takes what no run file can record.",
            hint=f"Declare its settings as {made.__qualname__}.Params and hand in {made.__qualname__}(name=value).",
        )
    return give(made, plugin.params.model_dump(mode="json"))


def _named(component: type[Component]) -> type[Component]:
    """The class, if it has a kind and a name."""
    if component.kind not in KINDS:
        raise UsageError(
            f"The class {component.__qualname__} is no component.",
            hint="Derive it from ffprobe.Normalizer, ffprobe.Loss or another base class.",
        )
    if not component.name:
        raise UsageError(
            f"The class {component.__qualname__} has no name.", hint='Set the class attribute name = "...".'
        )
    return component
