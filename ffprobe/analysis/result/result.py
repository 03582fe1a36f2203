"""The result of one analysis: a table, a JSON document and a figure, all made from the same rows."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffprobe.analysis.plots.figure import WIDTH, check_suffix, new_figure, write_figure
from ffprobe.analysis.result.claim import Claim, correct_claims
from ffprobe.analysis.result.column import Column
from ffprobe.analysis.result.table import ResultTable
from ffprobe.display import csv_cell, plain_text
from ffprobe.errors import FileError, UsageError

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Result:
    """The result of one analysis, which answers one question.

    Attributes:
        name: name of the analysis.
        question: the question, one sentence.
        columns: the columns of each row.
        rows: tuples of str, int, float, bool or None; NaN and None mean "not measured".
        notes: sentences: caveats, baselines, which data was measured.
        claims: claims of papers about the question, each compared with these runs.
        extra: more data for the JSON document, nested plain values.
        draw: draws the figure of these rows on an empty ``matplotlib.figure.Figure``; None without a figure.
        size: width and height of the figure in inches.
        runs: the analyzed run files: anything with a ``path`` and ``attributes``.
    """

    name: str
    question: str
    columns: Sequence[Column]
    rows: Sequence[tuple[Any, ...]]
    notes: Sequence[str] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    draw: Callable[[Figure], None] | None = None
    size: tuple[float, float] = (WIDTH, 2.4)
    runs: Sequence[Any] = ()
    claims: Sequence[Claim] = ()

    def __post_init__(self) -> None:
        """Check the rows against the columns, correct p values; store plain values and each run's path and id.

        Raises:
            ValueError: the length of a row differs from the number of columns, or a column name appears twice.
        """
        names = [column.name for column in self.columns]
        if len(set(names)) < len(names):
            raise ValueError(f"{self.name}: columns of the same name in {names}.")
        rows = [tuple(_plain(value) for value in row) for row in self.rows]
        if wrong := [row for row in rows if len(row) != len(names)]:
            raise ValueError(f"{self.name}: the row {wrong[0]} does not have the columns {names}.")
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "claims", correct_claims(self.claims))
        object.__setattr__(self, "runs", [(str(r.path), str(r.attributes.get("run_id", ""))) for r in self.runs])

    def to_dict(self) -> dict[str, Any]:
        """Return the result as one JSON document: nested plain values, None (null) for values that were not measured.

        Keys: ``name``, ``question``, ``runs`` (paths), ``columns`` (name, unit, description), ``rows`` (objects by
        column name), ``notes``, ``claims`` (source, said, here, agrees, verdict, p,
        not_comparable), ``extra``.
        """
        columns = [{"name": c.name, "unit": c.unit, "description": c.description} for c in self.columns]
        rows = [dict(zip((c.name for c in self.columns), row, strict=True)) for row in self.rows]
        head = {"name": self.name, "question": self.question, "runs": [path for path, _ in self.runs]}
        body = {"columns": columns, "rows": rows, "notes": list(self.notes)}
        claims = [claim.to_dict() for claim in self.claims]
        body |= {"claims": claims, "extra": dict(self.extra)}
        return _finite({**head, **body})

    def write_csv(self, path: str | Path) -> Path:
        """Write a header of column names and the rows with all digits; values that were not measured are empty.

        Text that begins like a formula (``= + - @``) gets a leading single quote, so that a spreadsheet shows it.

        Raises:
            FileError: the file cannot be written.
        """
        path = Path(path)
        try:
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow([csv_cell(column.name) for column in self.columns])
                writer.writerows([["" if _finite(v) is None else csv_cell(v) for v in row] for row in self.rows])
        except OSError as error:
            raise FileError(f"The table cannot be written: {error.strerror}.", where=str(path)) from error
        return path

    def table(self) -> ResultTable:
        """Return all rows as a table that rich prints on a terminal of any width."""
        return ResultTable(self.question, self.columns, self.rows, self.notes, self.claims)

    def summary(self) -> ResultTable:
        """Return the table for reading, which fits on one screen.

        Rows of several epochs are folded into one, with the first, best and last value and a sparkline. Columns that
        are details are left out, and so are columns that do not fit; ``table``, CSV and JSON have everything.
        """
        return ResultTable(self.question, self.columns, self.rows, self.notes, self.claims, brief=True)

    def figure(self) -> Figure:
        """Draw the result as a matplotlib figure.

        Raises:
            UsageError: this analysis has no figure.
        """
        if self.draw is None:
            raise UsageError(f"{self.name!r} has no figure.", hint="Use its table, --json or --csv.")
        return new_figure(self.draw, self.size)

    def save_figure(self, path: str | Path, *, command: str = "") -> list[Path]:
        """Write the figure and its numbers: ``fig.png`` and ``fig.csv``.

        Args:
            path: file name with the suffix ``.png``, ``.svg`` or ``.pdf``.
            command: the command line; stored in the file's metadata together with the ids of the runs.

        Returns:
            The two files.

        Raises:
            UsageError: another suffix, or this analysis has no figure; nothing is written.
            FileError: a file cannot be written.
        """
        path = Path(path)
        check_suffix(path)
        runs = ", ".join(run_id or file for file, run_id in self.runs)
        metadata = {"title": self.question, "command": command, "runs": runs}
        write_figure(self.figure(), path, {name: plain_text(text) for name, text in metadata.items()})
        return [path, self.write_csv(path.with_suffix(".csv"))]

    def to_pandas(self) -> pandas.DataFrame:
        """Return the rows with all digits as a pandas data frame; units are in ``attrs["units"]``.

        Raises:
            UsageError: pandas is not installed.
        """
        from ffprobe.store.labelled import library

        names = [column.name for column in self.columns]
        frame = library("pandas").DataFrame(list(self.rows), columns=names)
        frame.attrs.update(question=self.question, units={c.name: c.unit for c in self.columns if c.unit})
        return frame

    def __rich__(self) -> ResultTable:
        """Return the summary, so that ``rich.print(result)`` shows it."""
        return self.summary()

    def _repr_html_(self) -> str:
        """Return the summary as HTML for a notebook; the long table is below it, collapsed."""
        return self.summary()._repr_html_()

    def __repr__(self) -> str:
        return f"<result {self.name!r}: {self.question} {len(self.rows)} rows, {len(self.columns)} columns>"


def _plain(value: Any) -> Any:
    """Convert a numpy or torch scalar to a Python scalar."""
    return value.item() if hasattr(value, "item") else value


def _finite(value: Any) -> Any:
    """Convert nested values to plain ones, with None for NaN and infinity."""
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
