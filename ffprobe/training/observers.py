"""Telling plugins what happens, one at a time, so that a failing one can be named and switched off."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pluggy
import torch

from ffprobe.hookspecs import OBSERVERS

log = logging.getLogger("ffprobe")

Record = Callable[[str, str, object], None]
"""``(plugin, variable, value)``."""


class Observers:
    """The plugins of one run that watch.

    Args:
        manager: with every observer registered.
        record: where a plugin's own variables go.
        on_failure: called with (plugin, sentence) when one is switched off.
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

    def listens(self, hook: str) -> bool:
        """Whether anyone would be told; nothing is computed for a hook to which nobody listens."""
        return bool(self._callers[hook])

    def fire(self, hook: str, context: Any) -> None:
        """Tell every observer, each with a ``record`` of its own.

        An observer that raises, or that returns something, is switched off for the rest of the run.
        """
        if not self._callers[hook]:
            return
        # an observer may draw random numbers; the run must not notice
        state = torch.get_rng_state()
        try:
            self._tell(hook, context)
        finally:
            torch.set_rng_state(state)

    def _tell(self, hook: str, context: Any) -> None:
        for name, caller in list(self._callers[hook].items()):
            try:
                answer = caller(context=replace(context, record=self._recorder(name)))
                if answer:
                    raise TypeError(f"it returned {answer[0]!r}; observers return nothing")
            except (Exception, SystemExit) as error:  # nor may one that exits take the run with it
                for callers in self._callers.values():
                    callers.pop(name, None)
                step = f" at step {context.step}" if hasattr(context, "step") else ""
                sentence = f"{name} failed in {hook}{step} and was switched off: {type(error).__name__}: {error}"
                log.warning("%s", sentence, exc_info=log.isEnabledFor(logging.DEBUG))
                self._on_failure(name, sentence)

    def _recorder(self, plugin: str) -> Callable[[str, object], None]:
        return lambda variable, value: self._record(plugin, variable, value)
