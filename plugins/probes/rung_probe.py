"""A base for analyses of runs that differ in one number of their update groups."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ffprobe_plugins.probes.rungs import Ladder, Ladders, Rung, read_ladders

import ffprobe

if TYPE_CHECKING:
    from ffprobe_plugins.probes.rungs import Groups
    from matplotlib.figure import Figure


class RungProbe(ffprobe.Probe):
    """A probe with a row for each number, and a line over the numbers.

    Attributes:
        question: what the probe answers.
        number: name of the number and its description.
        axis: label of the figure's horizontal axis.
    """

    least_runs = 2
    question: ClassVar[str] = ""
    number: ClassVar[tuple[str, str]] = ("", "")
    axis: ClassVar[str] = ""

    @abstractmethod
    def number_of(self, groups: Groups, depth: int) -> int | str:
        """The number of a run, from its update groups and its depth; a text that says why it has none."""

    def claims(self, ladders: Ladders) -> list[ffprobe.Claim]:
        """The papers' claims; none unless overridden."""
        return []

    def verdict(self, ladder: Ladder) -> str:
        """A sentence about one ladder; none unless overridden."""
        return ""

    def analyze(self, runs: Sequence[ffprobe.RunFile]) -> ffprobe.Result:
        found = read_ladders(runs, self.number_of)
        several = len(found.ladders) > 1
        column, (name, meaning) = ffprobe.Column, self.number
        first = [column("network", "", "what distinguishes the ladder from the others", key=True)] if several else []
        rows: list[tuple[Any, ...]] = []
        for ladder in found.ladders:
            label = (ladder.label,) if several else ()
            rows += [(*label, *_cells(rung, ladder)) for rung in ladder.rungs]
        return ffprobe.Result(
            name=self.name,
            question=self.question,
            columns=[
                *first,
                column(name, "1", meaning, "d", key=True),
                column("groups", "1", "number of update groups", "d"),
                column("seeds", "1", "number of seeds", "d"),
                column("accuracy", "%", f"{found.part} accuracy of the run's evaluator, mean over seeds", ".1f"),
                column("accuracy_sd", "%", "standard deviation over seeds", ".1f", spread_of="accuracy"),
                column("gain", "points", "above the smallest number, mean over common seeds", "+.1f"),
                column("gain_se", "points", "standard error", ".1f", spread_of="gain"),
                column("below", "points", "below the largest number, mean over common seeds", "+.1f"),
                column("below_se", "points", "standard error", ".1f", spread_of="below"),
            ],
            rows=rows,
            notes=[*self._notes(found), *found.left_out],
            claims=self.claims(found),
            extra={"settings": self.params.model_dump(), "ladders": [_document(ladder) for ladder in found.ladders]},
            draw=lambda figure: self._draw(figure, found),
            size=(3.25, 2.4),
            runs=runs,
        )

    def _notes(self, found: Ladders) -> list[str]:
        notes = [(ladder.label, [text] if (text := self.verdict(ladder)) else []) for ladder in found.ladders]
        fewest = min(len(rung.accuracy) for ladder in found.ladders for rung in ladder.rungs)
        thin = ["With fewer than three seeds the spread is poorly known."] if fewest < 3 else []
        return [*ffprobe.joint_notes(notes), *thin]

    def _draw(self, figure: Figure, found: Ladders) -> None:
        axes, series = figure.subplots(), []
        for ladder in found.ladders:
            label = ladder.label if len(found.ladders) > 1 else ""
            cells = [_mean_and_sd(rung) for rung in ladder.rungs]
            x, y, error = [rung.number for rung in ladder.rungs], [m for m, _ in cells], [s for _, s in cells]
            series.append(ffprobe.Series(label=label, x=x, y=y, error=[s if s == s else 0 for s in error]))
        ffprobe.line_by_layer(axes, series, xlabel=self.axis, ylabel=f"{found.part} accuracy (%)")


def _cells(rung: Rung, ladder: Ladder) -> tuple[Any, ...]:
    bottom, top = rung.gain_over(ladder.rungs[0]), ladder.rungs[-1].gain_over(rung)
    nothing = float("nan"), float("nan")
    gain = nothing if rung is ladder.rungs[0] else (bottom.gain, bottom.error)
    below = nothing if rung is ladder.rungs[-1] else (top.gain, top.error)
    return (rung.number, rung.groups, len(rung.accuracy), *_mean_and_sd(rung), *gain, *below)


def _mean_and_sd(rung: Rung) -> tuple[float, float]:
    import statistics

    values = list(rung.accuracy.values())
    if not values:
        return float("nan"), float("nan")
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else float("nan")


def _document(ladder: Ladder) -> dict[str, Any]:
    rungs = [
        {"number": rung.number, "accuracy": {str(k): v for k, v in rung.accuracy.items()}} for rung in ladder.rungs
    ]
    return {"label": ladder.label, "depth": ladder.rungs[0].depth, "rungs": rungs}
