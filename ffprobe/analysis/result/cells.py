"""The cells of a table that people read: numbers as text, with a value and its spread or interval in one cell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ffprobe.analysis.result.column import Column
from ffprobe.display import plain_text

MISSING = "-"
"""The cell of a value that was not measured."""


@dataclass(frozen=True)
class ShownColumn:
    """A column as a table shows it.

    Attributes:
        column: name, unit and description.
        parts: the cells, one for each row, by sub-heading. A plain column has the single sub-heading ``""``; a quantity
            that was folded over time has ``first``, ``best``, ``last`` and ``trend``.
        text: whether the cells are text, which is aligned to the left.
        meaning: what the column means, for the legend.
    """

    column: Column
    parts: Mapping[str, Sequence[str]]
    text: bool
    meaning: str

    @property
    def cells(self) -> list[str]:
        """One text for each row; the parts of a folded quantity are separated by two spaces."""
        return ["  ".join(texts) for texts in zip(*self.parts.values(), strict=True)]


def cell(value: object, column: Column) -> str:
    """Format one value; a dash for a value that was not measured."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
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


def shown_columns(columns: Sequence[Column], rows: Sequence[tuple[Any, ...]]) -> list[ShownColumn]:
    """Format all rows, without the columns that repeat another one or that are shown in the cells of another one."""
    hidden = hidden_columns(columns, rows) | companions(columns)
    return [shown_column(columns, i, rows) for i in range(len(columns)) if i not in hidden]


def companions(columns: Sequence[Column]) -> set[int]:
    """The indices of columns that are shown in the cells of another one: spreads, and both ends of intervals."""
    names = {column.name for column in columns}
    low, high = {c.low_of for c in columns}, {c.high_of for c in columns}
    ends = low & high & names  # an interval with one end is shown as a column
    return {i for i, c in enumerate(columns) if c.spread_of in names or c.low_of in ends or c.high_of in ends}


def shown_column(columns: Sequence[Column], i: int, rows: Sequence[tuple[Any, ...]]) -> ShownColumn:
    """One column with its spread and its interval, as ``97.1 ± 0.4`` and ``95.4 [94.1, 96.5]``."""
    column = columns[i]
    texts = [cell(row[i], column) for row in rows]
    meaning = column.description
    spread = next((j for j, c in enumerate(columns) if c.spread_of == column.name), None)
    low = next((j for j, c in enumerate(columns) if c.low_of == column.name), None)
    high = next((j for j, c in enumerate(columns) if c.high_of == column.name), None)
    if spread is not None:
        errors = [cell(row[spread], columns[spread]) for row in rows]
        texts = [f"{text} ± {error}" if error != MISSING else text for text, error in zip(texts, errors, strict=True)]
        meaning += f" ± {columns[spread].description}"
    if low is not None and high is not None:
        ends = [[cell(row[j], columns[j]) for j in (low, high)] for row in rows]
        texts = [
            f"{text} [{', '.join(pair)}]" if MISSING not in pair else text
            for text, pair in zip(texts, ends, strict=True)
        ]
        meaning += f" [{columns[low].description.removeprefix('lower end of ')}]"
    return ShownColumn(column, {"": texts}, any(isinstance(row[i], str) for row in rows), meaning)
