"""What is recorded while a run trains, and the question that it answers."""

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
    """One question: what is recorded while a run goes on, and the answer from the run file alone.

    A probe that records implements hooks (``ffprobe_after_step`` ...) as methods marked with ``ffprobe.hookimpl`` and
    writes with ``context.record``; it must not change a number of the run.

    Attributes:
        needs: recordings of the run itself that the analysis reads: ``activations``, and with it ``random-label``.
        least_runs: how many run files ``analyze`` needs at least; 0 where the question can be asked without any.
    """

    kind = "probe"
    needs: ClassVar[frozenset[str]] = frozenset()
    least_runs: ClassVar[int] = 1

    def variables(self, run: RunContext) -> list[Variable]:
        """What this probe will record, declared before the run begins; nothing unless overridden."""
        return []

    @abstractmethod
    def analyze(self, runs: Sequence[RunFile]) -> Any:
        """Answer the question from recorded runs.

        Returns:
            An ``ffprobe.Result``.

        Raises:
            FileError: something needed was not recorded; the message names the option that records it.
        """
