"""A result as a table on a terminal, split into several tables if it is too wide; and in a notebook."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from ffprobe.display import HtmlTable, html_view, plain_text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

    from ffprobe.analysis.result.column import Column


def cell(value: object, column: Column) -> str:
    """Format one value; a dash for a value that was not measured."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return format(value, column.format or ("d" if isinstance(value, int) else ".4g"))
    return plain_text(value)


def hidden_columns(columns: Sequence[Column], rows: Sequence[tuple[Any, ...]]) -> set[int]:
    """Return the indices of columns that only repeat another one, for tables that people read.

    ``depth`` is hidden if every row has the same number in ``layer`` (``input`` for depth 0), or no depth at all. JSON
    and CSV keep both: ``depth`` is a number to compute with, ``layer`` the text that also names several layers.
    """
    names = [column.name for column in columns]
    if "depth" not in names or "layer" not in names or not rows:
        return set()
    depth, layer = names.index("depth"), names.index("layer")

    def repeats(row: tuple[Any, ...]) -> bool:
        return row[depth] is None or row[layer] == str(row[depth]) or (row[depth] == 0 and row[layer] == "input")

    return {depth} if all(map(repeats, rows)) else set()


MAX_ROWS, END_ROWS = 60, 20
"""A terminal shows at most ``MAX_ROWS`` rows; of a longer table, the first and last ``END_ROWS``. A pipe gets all."""


class ResultTable:
    """The return value of ``Result.table``: rich prints it at the width of the console."""

    def __init__(
        self, question: str, columns: Sequence[Column], rows: Sequence[tuple[Any, ...]], notes: Sequence[str]
    ) -> None:
        self._question, self._columns, self._rows, self._notes = question, columns, rows, notes

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        yield Text(plain_text(self._question), style="bold")
        for part in self._parts(options.max_width):
            yield self._table(part, cut=console.is_terminal and len(self._rows) > MAX_ROWS)
        if console.is_terminal and len(self._rows) > MAX_ROWS:
            yield Text(f"… {len(self._rows)} rows in total: --csv FILE or --json writes all of them.", style="dim")
        for note in self._notes:
            yield Text(plain_text(note), style="dim")

    def _repr_html_(self) -> str:
        shown, cut = self._shown(), len(self._rows) > MAX_ROWS
        heads = [
            f"{c.name} ({c.unit})" if c.unit not in ("", "1", c.name) else c.name
            for c in (self._columns[i] for i in shown)
        ]
        lines = list(zip(*(self._cells(i) for i in shown), strict=True))
        if cut:
            lines = [*lines[:END_ROWS], ("…",) * len(shown), *lines[-END_ROWS:]]
        numbers = [position for position, i in enumerate(shown) if not self._is_text(i)]
        more = [f"… {len(self._rows)} rows in total: to_pandas(), rows or write_csv() gives them all."] if cut else []
        return html_view(self._question, [HtmlTable(heads, lines, numbers)], [*more, *self._notes])

    def _is_text(self, i: int) -> bool:
        return any(isinstance(row[i], str) for row in self._rows)

    def _shown(self) -> list[int]:
        """Indices of the columns shown separately; a spread is shown next to its value."""
        names, hidden = [c.name for c in self._columns], hidden_columns(self._columns, self._rows)
        return [i for i, c in enumerate(self._columns) if c.spread_of not in names and i not in hidden]

    def _cells(self, i: int) -> list[str]:
        columns = self._columns
        texts = [cell(row[i], columns[i]) for row in self._rows]
        for j, other in enumerate(columns):
            if other.spread_of == columns[i].name:
                spreads = [cell(row[j], other) for row in self._rows]
                texts = [f"{t} ± {s}" if s != "-" else t for t, s in zip(texts, spreads, strict=True)]
        return texts

    def _heading(self, i: int) -> str:
        column = self._columns[i]
        words = re.sub(r"[ _]+", "\n", plain_text(column.name))
        return f"{words}\n{plain_text(column.unit)}" if column.unit not in ("", "1") else words

    def _parts(self, width: int) -> list[list[int]]:
        """Split the columns into tables: the key columns in every table, and as many others as fit."""
        widths = {i: 3 + max(map(len, [*self._heading(i).split("\n"), *self._cells(i)])) for i in self._shown()}
        keys = [i for i in widths if self._columns[i].key]
        rest = [i for i in widths if i not in keys]
        parts: list[list[int]] = []
        for i in rest:
            if not parts or sum(widths[j] for j in [*parts[-1], i]) > width:
                parts.append(list(keys))
            parts[-1].append(i)
        return parts or [keys]

    def _table(self, part: Sequence[int], *, cut: bool) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False)
        for i in part:
            justify: Literal["left", "right"] = "left" if self._is_text(i) else "right"
            table.add_column(Text(self._heading(i)), justify=justify, overflow="fold")
        lines = list(zip(*(self._cells(i) for i in part), strict=True))
        for texts in lines[:END_ROWS] if cut else lines:
            table.add_row(*map(Text, texts))  # a str would be read as markup: a class named [red] would be blank
        if cut:
            table.add_row(*("…" for _ in part))
            for texts in lines[-END_ROWS:]:
                table.add_row(*map(Text, texts))
        return table
