"""Turns the columns of a table into the numbers that a network gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ffprobe_plugins.datasets.table import Table

import ffprobe

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class TableFeatures:
    """What the training rows of a table say about its columns.

    Attributes:
        names: the columns of features, in the order of the training file.
        means: the mean of each column of numbers.
        categories: the different texts of each column of texts, sorted.
    """

    names: tuple[str, ...]
    means: dict[str, float]
    categories: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, train: Table, names: Sequence[str], most: int) -> TableFeatures:
        """Read the columns ``names`` of the training rows.

        Raises:
            FileError: a column has more than ``most`` different texts, or no value at all.
        """
        import numpy as np

        means, categories = {}, {}
        for name in names:
            column = train.columns[name]
            if column.dtype.kind != "f":
                categories[name] = _categories(train, name, most)
            elif np.isnan(column).all():
                raise ffprobe.FileError(f"Column {name!r} of {train.path} has no value.", hint=_drop(name))
            else:
                means[name] = float(np.nanmean(column))
        return cls(tuple(names), means, categories)

    @property
    def features(self) -> tuple[str, ...]:
        """The name of each number of ``inputs``: that of its column, or COLUMN=TEXT for a text."""
        pairs = [(name, self.categories.get(name, ("",))) for name in self.names]
        return tuple(f"{name}={text}" if text else name for name, texts in pairs for text in texts)

    def inputs(self, table: Table) -> np.ndarray:
        """The columns as float32 ``[N, F]``: a number as it is, a text as a 1 in the column of its category.

        A missing number is the mean of the training rows. A text that is missing, or that no training row has, is in no
        category.

        Raises:
            FileError: a number is infinite or too large, or a column has numbers in one file and texts in the other.
        """
        import numpy as np

        blocks = []
        for name in self.names:
            column, numbers = table.columns[name], name in self.means
            if numbers != (column.dtype.kind == "f"):
                raise _other_type(table, name, numbers)
            if numbers:
                large = np.flatnonzero(np.abs(column) > np.finfo(np.float32).max)
                if len(large):
                    what = f"Column {name!r} in line {table.lines[large[0]]} of {table.path} is {column[large[0]]:g}"
                    raise ffprobe.FileError(f"{what}, which is no 32-bit number.", hint=_drop(name))
                blocks.append(np.where(np.isnan(column), self.means[name], column)[:, None])
            else:
                blocks.append(column[:, None] == np.array(self.categories[name], dtype=str)[None, :])
        return np.concatenate(blocks, axis=1).astype(np.float32)


def _categories(train: Table, name: str, most: int) -> tuple[str, ...]:
    categories = tuple(sorted(set(train.columns[name].tolist()) - {""}))
    if 1 <= len(categories) <= most:
        return categories
    because = f", because of {train.no_number[name]}" if name in train.no_number else ""
    raise ffprobe.FileError(
        f"Column {name!r} of {train.path} is text{because}, and has {len(categories)} different texts; the maximum is "
        f"{most} categories.",
        hint=f"{_drop(name)} If it has numbers, correct the cells that are none.",
    )


def _drop(name: str) -> str:
    return f"Leave the column out: --set 'dataset.drop=[\"{name}\"]'."


def _other_type(table: Table, name: str, numbers: bool) -> ffprobe.FileError:
    expected, found = ("numbers", "text") if numbers else ("text", "numbers")
    because = f" ({table.no_number[name]})" if name in table.no_number else ""
    return ffprobe.FileError(
        f"Column {name!r} of {table.path} has {found}{because}, but {expected} in the training file.", hint=_drop(name)
    )
