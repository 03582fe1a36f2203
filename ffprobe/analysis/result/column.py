"""One column of a result: its name, its unit and how it looks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column of a result.

    Attributes:
        name: snake_case; the key in JSON and the heading in CSV.
        unit: ``%``, ``s`` ...; ``1`` for pure numbers, empty for names.
        description: one phrase.
        format: how numbers look in the table (``.1f``); CSV and JSON always hold all digits.
        key: whether the column says what a row is about, and so stands in every part of a table that is split.
        spread_of: the column whose spread (sd, standard error) this is; the table shows them as one, ``97.1 ± 0.4``.
    """

    name: str
    unit: str = ""
    description: str = ""
    format: str = ""
    key: bool = False
    spread_of: str = ""
