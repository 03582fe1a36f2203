"""Folds a table over time: one row for each layer (and run) instead of one for each layer and epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ffprobe.analysis.result.cells import ShownColumn, cell, companions, hidden_columns, shown_column
from ffprobe.analysis.result.column import Column
from ffprobe.analysis.result.sparkline import sparkline

TREND = 8
"""Characters of a sparkline."""
HIGHER, LOWER = {"accuracy", "acc"}, {"loss", "error"}
"""Words in the name of a column for which higher or lower values are better, if ``Column.better`` is not given."""


def fold(columns: Sequence[Column], rows: Sequence[tuple[Any, ...]]) -> list[ShownColumn] | None:
    """Fold the rows of all times into one row for each combination of the other keys.

    Args:
        columns: the columns of the rows.
        rows: the rows of the long table, in any order.

    Returns:
        The other key columns, then one column for each quantity, with the parts ``first``, ``best`` (if it is known
        what is better), ``last`` and ``trend``. A quantity with at most one value in each row, and text, is a plain
        column with its last value; a quantity without any value is left out. None if there is nothing to fold: there is
        no time axis, or no row would have more than one time.
    """
    time = [i for i, column in enumerate(columns) if column.is_time]
    keys = [i for i, column in enumerate(columns) if column.key and i not in time]
    groups: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[i] for i in keys), []).append(row)
    if not time or all(len(group) == 1 for group in groups.values()):
        return None
    for group in groups.values():
        if all(isinstance(row[i], (int, float)) for row in group for i in time):
            group.sort(key=lambda row: [row[i] for i in time])
    firsts, skipped = [group[0] for group in groups.values()], {*time, *keys, *companions(columns)}
    hidden = hidden_columns(columns, firsts)
    heads = [shown_column(columns, i, firsts) for i in keys if i not in hidden]
    quantities = [_quantity(columns, i, list(groups.values())) for i in range(len(columns)) if i not in skipped]
    return [*heads, *(quantity for quantity in quantities if quantity)]


def _quantity(columns: Sequence[Column], i: int, groups: Sequence[Sequence[tuple[Any, ...]]]) -> ShownColumn | None:
    """One column over the rows of each group; None without any value."""
    known = [[row for row in group if _is_known(row[i])] for group in groups]
    if not any(known):
        return None
    column, values = columns[i], [[row[i] for row in group] for group in known]
    last = shown_column(columns, i, [(rows or group)[-1] for rows, group in zip(known, groups, strict=True)])
    is_text = any(not isinstance(value, (int, float)) or isinstance(value, bool) for group in values for value in group)
    if is_text or all(len(group) < 2 for group in values):
        return last
    parts = {"first": [cell(group[0] if group else None, column) for group in values]}
    if select := _best(column):
        parts["best"] = [cell(select(group) if group else None, column) for group in values]
    parts["last"] = last.cells
    parts["trend"] = [
        sparkline([float(row[i]) if _is_known(row[i]) else math.nan for row in group], TREND) for group in groups
    ]
    return ShownColumn(column, parts, False, last.meaning)


def _best(column: Column) -> Any:
    words = set(column.name.split("_"))
    if column.better == "higher" or (not column.better and words & HIGHER):
        return max
    return min if column.better == "lower" or (not column.better and words & LOWER) else None


def _is_known(value: object) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))
