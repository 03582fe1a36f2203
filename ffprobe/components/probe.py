"""Probes: analyses, and what each of them records during a run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ffprobe.components.base import Component

if TYPE_CHECKING:
    from ffprobe.hookspecs import RunContext
    from ffprobe.store.reader import RunFile
    from ffprobe.store.schema import Variable


class Probe(Component):
    """One analysis: what it records during a run, and how its result is computed from run files alone.

    A probe that records implements hooks (``ffprobe_after_step`` ...) as methods marked with ``ffprobe.hookimpl``, and
    writes values with ``context.record``. It must not change any number of the run.

    Attributes:
        needs: recordings of the run itself that the analysis reads: ``activations``, and in addition ``random-label``.
        least_runs: minimum number of run files for ``analyze``; 0 if the analysis works without run files.
    """

    kind = "probe"
    needs: ClassVar[frozenset[str]] = frozenset()
    least_runs: ClassVar[int] = 1

    def variables(self, run: RunContext) -> list[Variable]:
        """The variables that this probe records, declared before the run starts; none by default."""
        return []

    @abstractmethod
    def analyze(self, runs: Sequence[RunFile]) -> Any:
        """Compute the result from recorded runs.

        Args:
            runs: open run files; at least ``least_runs``. A run may be unfinished.

        Returns:
            An ``ffprobe.Result``.

        Raises:
            FileError: a run lacks a recording that is needed; the message names the option that records it.
        """
