"""A table with named columns, from a user's file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import ffprobe

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Table:
    """The columns of a file by name.

    Attributes:
        path: the file.
        columns: numbers as float64 ``[N]``, NaN where a value is missing; texts as ``str [N]``, empty where missing.
        lines: the line of each row in the file, int64 ``[N]``, for messages.
        no_number: why a column of a text file has texts, by its name: its first cell that is no number.
    """

    path: Path
    columns: dict[str, np.ndarray]
    lines: np.ndarray
    no_number: dict[str, str]

    def __len__(self) -> int:
        return len(self.lines)

    def column(self, name: str, setting: str) -> np.ndarray:
        """The column of this name; raises UsageError if there is none."""
        if name not in self.columns:
            raise ffprobe.UsageError(
                f"{self.path} has no column {name!r} (dataset.{setting}).", hint=f"Its columns are: {self.listed()}."
            )
        return self.columns[name]

    def listed(self, most: int = 30) -> str:
        """The names of the columns, for a message."""
        names = list(self.columns)
        return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")

    def rows(self, chosen: np.ndarray) -> Table:
        """The table of some rows, bool ``[N]`` or int64."""
        kept = {name: column[chosen] for name, column in self.columns.items()}
        return replace(self, columns=kept, lines=self.lines[chosen])
