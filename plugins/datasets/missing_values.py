"""Refuses missing values of a table, or leaves out their rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ffprobe_plugins.datasets.table import Table

import ffprobe

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger("ffprobe")


def without_missing(table: Table, names: Sequence[str], missing: str, needed: Sequence[str]) -> Table:
    """The rows that can be used.

    Args:
        table: the table.
        names: the columns of features.
        missing: ``error`` refuses missing values, ``drop`` leaves out their rows, ``mean`` keeps those of features.
        needed: columns whose values cannot be replaced, such as the target.

    Raises:
        FileError: a value is missing; the message names column and line. Or no row remains.
    """
    import numpy as np

    gaps = {name: _missing(table.columns[name]) for name in [*needed, *(names if missing != "mean" else ())]}
    first = next((name for name, gap in gaps.items() if gap.any()), None)
    if first is None:
        return table
    if missing == "drop":
        kept = ~np.logical_or.reduce(list(gaps.values()))
        if kept.any():
            dropped = int((~kept).sum())
            log.warning("%d of %d rows of %s have a missing value and are left out.", dropped, len(table), table.path)
            return table.rows(kept)
        hint = "Use --set dataset.missing=mean, or leave out the emptiest columns with dataset.drop."
        raise ffprobe.FileError(f"Every row of {table.path} has a missing value.", hint=hint)
    line, count = table.lines[np.argmax(gaps[first])], int(gaps[first].sum())
    values = "1 missing value" if count == 1 else f"{count} missing values, the first"
    fill = "" if first in needed else ", or dataset.missing=mean to fill in the mean of the column"
    raise ffprobe.FileError(
        f"Column {first!r} of {table.path} has {values} in line {line}.",
        hint=f"Use --set dataset.missing=drop to leave out such rows{fill}.",
    )


def _missing(column: np.ndarray) -> np.ndarray:
    import numpy as np

    missing: np.ndarray = np.isnan(column) if column.dtype.kind == "f" else column == ""
    return missing
