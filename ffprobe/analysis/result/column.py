"""One column of a result: its name, unit and number format."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column of a result.

    Attributes:
        name: snake_case; the key in JSON and the heading in CSV.
        unit: ``%``, ``s`` ...; ``1`` for pure numbers, empty for names.
        description: one phrase.
        format: format of numbers in the table (``.1f``); CSV and JSON always contain all digits.
        key: whether the column identifies a row, and so is repeated in every part of a table that is split.
        spread_of: name of the column whose spread (standard deviation, standard error) this column contains; the table
            shows both as one, ``97.1 ± 0.4``.
    """

    name: str
    unit: str = ""
    description: str = ""
    format: str = ""
    key: bool = False
    spread_of: str = ""
