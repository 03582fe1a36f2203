"""A base class for probes that analyze each run by itself and show all runs in one table."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ffprobe.analysis.plots.figure import WIDTH
from ffprobe.analysis.result.claim import Claim
from ffprobe.analysis.result.column import Column
from ffprobe.analysis.result.joint_claim import joint_notes
from ffprobe.analysis.result.result import Result
from ffprobe.analysis.runs.labels import run_labels
from ffprobe.analysis.runs.progress import report_progress
from ffprobe.components.probe import Probe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ffprobe.store.reader import RunFile

Row = tuple[Any, ...]


class RunAnalysis(Protocol):
    """The analysis of one run: any object with this attribute and these methods.

    Attributes:
        label: the run's short name, as given to ``PerRunProbe.analyze_run``.
    """

    label: str

    def rows(self) -> Iterable[Row]:
        """The run's rows of the table, one value for each of ``PerRunProbe.columns``."""

    def notes(self) -> Iterable[str]:
        """Sentences about this run, without its label."""

    def to_dict(self) -> dict[str, Any]:
        """The run's entry in the JSON document, nested plain values."""


class PerRunProbe(Probe):
    """A probe that analyzes each run by itself and shows all runs in one table.

    A subclass implements ``analyze_run`` and ``columns``, and overrides what else it needs. With several runs, the
    table has a first column ``run``, and a note that holds for some of the runs begins with their labels. ``extra`` has
    the key ``runs``, with one entry for each run.

    Attributes:
        question: what the probe answers, one sentence.
        settings_in_extra: whether ``extra`` also has the key ``settings``, with the probe's own settings.
        label_every_note: with several runs, repeat a note for each run, with its label, even if it holds for all.
    """

    question: ClassVar[str] = ""
    settings_in_extra: ClassVar[bool] = False
    label_every_note: ClassVar[bool] = False

    @abstractmethod
    def analyze_run(self, run: RunFile, label: str) -> RunAnalysis:
        """Analyze one run.

        Args:
            run: an open run file.
            label: short name of the run, unique among the runs.

        Raises:
            FileError: the file lacks a recording that the analysis needs; the message names the option that records it.
        """

    def analyze_runs(self, runs: Sequence[RunFile]) -> list[Any]:
        """Analyze all runs; override it to check them together."""
        results = []
        for number, (run, label) in enumerate(zip(runs, run_labels(runs), strict=True), 1):
            report_progress(f"{run.path} ({number} of {len(runs)})" if len(runs) > 1 else str(run.path))
            results.append(self.analyze_run(run, label))
        return results

    @abstractmethod
    def columns(self, results: Sequence[Any]) -> Sequence[Column]:
        """The columns of the table, without ``run``.

        Args:
            results: what ``analyze_run`` returned, one for each run, in order. The same in the other methods.
        """

    def rows(self, results: Sequence[Any]) -> list[Row]:
        """The rows of the table; with several runs, each begins with its run's label."""
        several = len(results) > 1
        return [(result.label, *row) if several else tuple(row) for result in results for row in result.rows()]

    def notes(self, results: Sequence[Any], claims: Sequence[Claim]) -> list[str]:
        """The notes below the table: those of the runs."""
        notes = [(result.label, list(result.notes())) for result in results]
        if self.label_every_note and len(results) > 1:
            return [f"{label}: {sentence}" for label, sentences in notes for sentence in sentences]
        return joint_notes(notes)

    def claims(self, results: Sequence[Any]) -> list[Claim]:
        """The papers' claims, compared with these runs; none unless overridden."""
        return []

    def draw(self, figure: Figure, results: Sequence[Any]) -> None:
        """Draw the results on an empty figure. A probe that does not override this has no figure."""

    def figure_size(self, results: Sequence[Any]) -> tuple[float, float]:
        """Width and height of the figure in inches."""
        return WIDTH, 2.4

    def analyze(self, runs: Sequence[RunFile]) -> Result:
        """Analyze each run and join the results; see ``Probe.analyze``."""
        results = self.analyze_runs(runs)
        run_column = [Column("run", "", "label of the run", key=True)] if len(runs) > 1 else []
        settings = {"settings": self.params.model_dump()} if self.settings_in_extra else {}
        has_figure = type(self).draw is not PerRunProbe.draw
        claims = self.claims(results)
        return Result(
            name=self.name,
            question=self.question,
            columns=[*run_column, *self.columns(results)],
            rows=self.rows(results),
            notes=self.notes(results, claims),
            claims=claims,
            extra={**settings, "runs": [result.to_dict() for result in results]},
            draw=(lambda figure: self.draw(figure, results)) if has_figure else None,
            size=self.figure_size(results),
            runs=runs,
        )
