"""Calls the hooks of observers one by one, so that a failing observer can be named and switched off."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import fields
from functools import cache, cached_property
from typing import Any

import pluggy
import torch

from ffprobe.errors import describe
from ffprobe.hookspecs import OBSERVERS

log = logging.getLogger("ffprobe")

Record = Callable[[str, str, object], None]
"""Called with (plugin, variable, value)."""


class Observers:
    """The observers of one run: plugins that implement hooks.

    Args:
        manager: the plugin manager with every observer registered.
        record: writes a value of a plugin's own variable.
        on_failure: called with (plugin, message) when an observer is switched off.
    """

    def __init__(self, manager: pluggy.PluginManager, record: Record, on_failure: Callable[[str, str], None]) -> None:
        self._record, self._on_failure = record, on_failure
        self._callers: dict[str, dict[str, Any]] = {hook: {} for hook in OBSERVERS}
        plugins = {name: plugin for name, plugin in manager.list_name_plugin() if plugin is not None}
        for name, plugin in plugins.items():
            others = [other for other in plugins.values() if other is not plugin]
            for caller in manager.get_hookcallers(plugin) or []:
                if caller.name in self._callers:
                    self._callers[caller.name][name] = manager.subset_hook_caller(caller.name, others)

    def has_observers(self, hook: str) -> bool:
        """Whether any observer implements the hook; without one, nothing is computed for it."""
        return bool(self._callers[hook])

    def fire(self, hook: str, context: Any) -> None:
        """Call the hook of every observer.

        An observer that raises an exception or returns a value is switched off for the rest of the run. The state of
        torch's global generator is restored afterwards.

        Args:
            hook: name of the hook.
            context: the context of the hook; each observer receives a copy with its own ``record``, and with copies
                of the tensors that it reads.
        """
        if not self._callers[hook]:
            return
        # an observer may draw random numbers; that must not change the run
        state = torch.get_rng_state()
        try:
            self._call(hook, context)
        finally:
            torch.set_rng_state(state)

    def _call(self, hook: str, context: Any) -> None:
        for name, caller in list(self._callers[hook].items()):
            try:
                returned = caller(context=own_context(context, self._recorder(name)))
                if returned:
                    raise TypeError(f"it returned {returned[0]!r}; observers must return nothing")
            except (Exception, SystemExit) as error:  # an observer that exits must not end the run
                for callers in self._callers.values():
                    callers.pop(name, None)
                step = f" at step {context.step}" if hasattr(context, "step") else ""
                message = f"{name} failed in {hook}{step} and was switched off: {describe(error)}"
                log.warning("%s", message, exc_info=log.isEnabledFor(logging.DEBUG))
                self._on_failure(name, message)

    def _recorder(self, plugin: str) -> Callable[[str, object], None]:
        return lambda variable, value: self._record(plugin, variable, value)


def own_context(context: Any, record: Callable[[str, object], None]) -> Any:
    """A copy of a context for one observer: with its own ``record``, and with its own copies of the tensors.

    A tensor, and a mapping with tensors, is copied when the observer reads it first. So what an observer writes into a
    tensor reaches neither the run nor its records nor another observer, and a tensor that nobody reads costs nothing
    (the images of a large batch take milliseconds to copy, and the progress display does not read them).

    Args:
        context: the context that the trainer made.
        record: writes to the variables of the observer.
    """
    values = vars(context)
    copied = tuple(
        name for name, value in values.items() if isinstance(value, torch.Tensor) or name in ("metrics", "changes")
    )
    kind: Any = type(context)
    own = object.__new__(_copying(kind, copied))
    shown = {field.name: values[field.name] for field in fields(context) if field.name not in copied}
    vars(own).update(shown, record=record, _shared=context)
    return own


@cache
def _copying(kind: type, names: tuple[str, ...]) -> Any:
    """A subclass of a context class; those attributes are copies, made when they are read first."""
    # cached_property gives way to an attribute of the instance, which __init__ and dataclasses.replace set
    return type(kind.__name__, (kind,), {"__module__": kind.__module__, **{name: _copy_of(name) for name in names}})


def _copy_of(name: str) -> cached_property[Any]:
    def copied(self: Any) -> Any:
        shared = getattr(self._shared, name)
        if isinstance(shared, torch.Tensor):
            return shared.detach().clone()
        return {key: v.detach().clone() if isinstance(v, torch.Tensor) else v for key, v in shared.items()}

    return cached_property(copied)
