"""One column of a result: its name, unit, number format, and how people read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TIME_NAMES = ("epoch", "step")
"""Names of key columns that count as a time axis unless ``Column.over`` is given."""


@dataclass(frozen=True)
class Column:
    """One column of a result.

    Only tables that people read use the fields after ``format``; CSV and JSON always have every column and row.

    Attributes:
        name: snake_case; the key in JSON and the heading in CSV.
        unit: ``%``, ``s`` ...; ``1`` for pure numbers, empty for names.
        description: one phrase; it explains the column below the table.
        format: format of numbers in the table (``.1f``); CSV and JSON always contain all digits.
        key: whether the column identifies a row, and so is repeated in every part of a table that is split.
        spread_of: name of the column whose spread (standard deviation, standard error) this column contains; the table
            shows both as one, ``97.1 ± 0.4``.
        low_of: name of the column whose interval begins at the values of this column; the table shows value and
            interval as one, ``95.4 [94.1, 96.5]``.
        high_of: name of the column whose interval ends at the values of this column.
        over: whether the column is a time axis. The summary folds the rows of all times into one row, with the first,
            best and last value and a sparkline. None: yes for a key column with the name ``epoch`` or ``step``.
        better: whether a ``higher`` or a ``lower`` value is better; the summary shows the best value of such a column.
        detail: whether only the long table (``--all``) shows the column.
    """

    name: str
    unit: str = ""
    description: str = ""
    format: str = ""
    key: bool = False
    spread_of: str = ""
    low_of: str = ""
    high_of: str = ""
    over: bool | None = None
    better: Literal["", "higher", "lower"] = ""
    detail: bool = False

    @property
    def is_time(self) -> bool:
        """Whether the summary folds the rows over this column."""
        return self.key and self.name in TIME_NAMES if self.over is None else self.over

    @property
    def shown_unit(self) -> str:
        """The unit as a heading shows it; empty for pure numbers, and for a unit that repeats the name."""
        return "" if self.unit in ("1", self.name) else self.unit
