"""The answer to one question: a table, a JSON document and a figure, all three from the same rows."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffprobe.analysis.plots.figure import WIDTH, check_suffix, new_figure, write_figure
from ffprobe.analysis.result.claim import Claim
from ffprobe.analysis.result.column import Column
from ffprobe.analysis.result.table import ResultTable
from ffprobe.errors import FileError, UsageError

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Result:
    """The answer to one question.

    Attributes:
        name: of the analysis.
        question: one sentence.
        columns: what each row holds.
        rows: tuples of str, int, float, bool or None; NaN and None mean "not measured".
        notes: sentences: caveats, floors, what was measured on what.
        claims: what papers say about the question, each held against these runs.
        extra: more data for the JSON document, nested plain values.
        draw: draws the figure of these rows on an empty ``matplotlib.figure.Figure``; None when there is none.
        size: of the figure, width and height in inches.
        runs: the run files that were asked: anything with a ``path`` and ``attributes``.
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
        """Check the rows against the columns; keep plain values and, of each run, its path and id.

        Raises:
            ValueError: a row is not as long as there are columns, or a column's name appears twice.
        """
        names = [column.name for column in self.columns]
        if len(set(names)) < len(names):
            raise ValueError(f"{self.name}: columns of the same name in {names}.")
        rows = [tuple(_plain(value) for value in row) for row in self.rows]
        if wrong := [row for row in rows if len(row) != len(names)]:
            raise ValueError(f"{self.name}: the row {wrong[0]} does not have the columns {names}.")
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "runs", [(str(r.path), str(r.attributes.get("run_id", ""))) for r in self.runs])

    def to_dict(self) -> dict[str, Any]:
        """The answer as one JSON document: nested plain values, None (null) for what was not measured.

        Keys: ``name``, ``question``, ``runs`` (paths), ``columns`` (name, unit, description), ``rows`` (objects by
        column name), ``notes``, ``claims`` (source, said, here, agrees), ``extra``.
        """
        columns = [{"name": c.name, "unit": c.unit, "description": c.description} for c in self.columns]
        rows = [dict(zip((c.name for c in self.columns), row, strict=True)) for row in self.rows]
        head = {"name": self.name, "question": self.question, "runs": [path for path, _ in self.runs]}
        body = {"columns": columns, "rows": rows, "notes": list(self.notes)}
        claims = [claim.to_dict() for claim in self.claims]
        body |= {"claims": claims, "extra": dict(self.extra)}
        return _finite({**head, **body})

    def write_csv(self, path: str | Path) -> Path:
        """Write the rows with all digits, a heading of column names first; what was not measured is empty.

        Raises:
            FileError: the place cannot be written.
        """
        path = Path(path)
        try:
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow([column.name for column in self.columns])
                writer.writerows([["" if _finite(v) is None else v for v in row] for row in self.rows])
        except OSError as error:
            raise FileError(f"The table cannot be written: {error.strerror}.", where=str(path)) from error
        return path

    def table(self) -> ResultTable:
        """The answer for a terminal: prints with rich, at whatever width."""
        return ResultTable(self.question, self.columns, self.rows, self._sentences())

    def _sentences(self) -> list[str]:
        return [*self.notes, *map(str, self.claims)]

    def figure(self) -> Figure:
        """The answer as a matplotlib figure.

        Raises:
            UsageError: this analysis has no figure.
        """
        if self.draw is None:
            raise UsageError(f"{self.name!r} has no figure.", hint="Ask for its table, --json or --csv.")
        return new_figure(self.draw, self.size)

    def save_figure(self, path: str | Path, *, command: str = "") -> list[Path]:
        """Write the figure, and its numbers beside it: ``fig.png`` and ``fig.csv``.

        Args:
            path: ``.png``, ``.svg`` or ``.pdf``.
            command: what was typed; kept in the file's metadata together with the runs' ids.

        Returns:
            The two files.

        Raises:
            UsageError: another suffix, or this analysis has no figure; nothing is written.
            FileError: the place cannot be written.
        """
        path = Path(path)
        check_suffix(path)
        runs = ", ".join(run_id or file for file, run_id in self.runs)
        write_figure(self.figure(), path, {"title": self.question, "command": command, "runs": runs})
        return [path, self.write_csv(path.with_suffix(".csv"))]

    def to_pandas(self) -> pandas.DataFrame:
        """The rows with all digits, a column for each of ours; units stand in ``attrs["units"]``.

        Raises:
            UsageError: pandas is not installed.
        """
        from ffprobe.store.labelled import library

        names = [column.name for column in self.columns]
        frame = library("pandas").DataFrame(list(self.rows), columns=names)
        frame.attrs.update(question=self.question, units={c.name: c.unit for c in self.columns if c.unit})
        return frame

    def __rich__(self) -> ResultTable:
        """The table on a terminal, so that ``rich.print(result)`` shows it."""
        return self.table()

    def _repr_html_(self) -> str:
        """The table in a notebook."""
        return self.table()._repr_html_()

    def __repr__(self) -> str:
        return f"<result {self.name!r}: {self.question} {len(self.rows)} rows, {len(self.columns)} columns>"


def _plain(value: Any) -> Any:
    """A numpy or torch scalar as Python's own."""
    return value.item() if hasattr(value, "item") else value


def _finite(value: Any) -> Any:
    """The same nested values, plain, with None for NaN and infinity."""
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
