"""What a plugin must obey that offers no component and only watches."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ffprobe.components.base import Component
from ffprobe.testing.contract import Contract, check, expect
from ffprobe.testing.toy import registry_for, word_for
from ffprobe.testing.watching import Watched, baseline, compare, watched


class Watcher(Component):
    """Stands for a plugin without components."""

    kind = "observer"

    @classmethod
    def named(cls, name: str) -> Any:
        """Such a class of this name."""
        return type("Watcher", (cls,), {"name": name})


class ObserverContract(Contract):
    """The checks of a plugin that only watches, on a toy run with it and without it."""

    kind = "observer"

    @cached_property
    def _with(self) -> Watched:
        baseline()  # first, since the first run of a process differs: it imports
        plugin = self.subject.plugin
        return watched(registry_for(plugin), [word_for(plugin)], self.scratch / "with.h5", {})

    @check("An observer that fails is switched off for the rest of the run.")
    def watches_without_failing(self) -> None:
        """In the toy run none of its hooks raises or returns something."""
        said = [text for _, text in self._with.messages if "switched off" in text]
        expect(not said, "a run in which it is not switched off", "; ".join(said))

    @check("Watching must change nothing: a result that depends on who looked is worth nothing.")
    def changes_no_number_of_the_run(self) -> None:
        """With it and without it the toy run ends in the same weights, streams and metrics, bit for bit."""
        compare(self._with)
