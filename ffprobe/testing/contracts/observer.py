"""The contracts of observers: of a component, and of a plugin that has only hooks."""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import Any

from ffprobe.components.base import Component
from ffprobe.errors import FfprobeError
from ffprobe.testing.contract import Contract, Skip, check, expect
from ffprobe.testing.contracts.component import ComponentContract
from ffprobe.testing.toy import registry_for, word_for
from ffprobe.testing.watching import Watched, baseline, compare, watched


class Watcher(Component):
    """Placeholder component for a plugin without components."""

    kind = "observer"

    @classmethod
    def named(cls, name: str) -> Any:
        """A subclass with this name."""
        return type("Watcher", (cls,), {"name": name})


class HooksContract(Contract):
    """The checks of a plugin that has only hooks, on toy runs with it and without it."""

    kind = "observer"

    @cached_property
    def _with(self) -> Watched:
        baseline()  # first, since the first run of a process differs: its imports use generators
        plugin = self.subject.plugin
        return watched(registry_for(plugin), [word_for(plugin)], self.scratch / "with.h5", {})

    @check("An observer that fails is switched off for the rest of the run.")
    def observes_without_errors(self) -> None:
        """In the toy run none of its hooks raises an error or returns a value."""
        messages = [text for _, text in self._with.messages if "switched off" in text]
        expect(not messages, "a run in which it is not switched off", "; ".join(messages))

    @check("Results that depend on which observers were active cannot be compared.")
    def does_not_change_the_run(self) -> None:
        """The toy run has the same weights, random streams and metrics with and without it, bit for bit."""
        compare(self._with)


class ObserverContract(ComponentContract, HooksContract):
    """The checks of an observer that is a component, in a folder of their own for what it may write."""

    @cached_property
    def _with(self) -> Watched:
        baseline()
        component, plugin = self.subject.component, self.subject.plugin
        with contextlib.chdir(self.scratch):
            try:
                self.subject.build().prepare()
            except FfprobeError as error:
                raise Skip(f"it refuses to run here: {error}") from error
            chosen = {"name": component.name, "plugin": word_for(plugin), **self._plain()}
            return watched(registry_for(plugin), [], self.scratch / "with.h5", {"observers": [chosen]})
