"""Reads a CSV file: the standard library's parser, and one stated rule for what is a number."""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from ffprobe_plugins.datasets.table import Table

import ffprobe

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "space": " ", "bar": "|"}
MISSING = frozenset(("", "?", "na", "n/a", "nan", "null", "none"))
"""Cells without a value, in lower case."""


def read_csv(path: Path, separator: str = "auto", decimal: str = "point", header: bool = True) -> Table:
    """Read a table from text in UTF-8, plain or with the suffix ``.gz``.

    A column has numbers if every cell is a number or missing; otherwise it has texts. Spaces around a cell do not
    count.

    Args:
        path: the file.
        separator: a key of ``SEPARATORS``; ``auto`` takes the one of comma, semicolon and tab that is most frequent in
            the first line.
        decimal: ``point`` or ``comma``.
        header: whether the first line names the columns; if not, they are named ``1``, ``2`` and so on.

    Raises:
        FileError: the file cannot be read; the message names the line.
    """
    try:
        with _opened(path) as file:
            return _table(path, file, separator, decimal, header)
    except UnicodeDecodeError as error:
        raise ffprobe.FileError(f"{path} is not text in UTF-8.", hint="Save it as CSV in UTF-8.") from error
    except (OSError, EOFError) as error:
        raise ffprobe.FileError(
            f"{path} cannot be read: {error}.", hint="Check the file and its permissions."
        ) from error


def _opened(path: Path) -> IO[str]:
    opening: Callable[..., IO[str]] = gzip.open if path.suffix == ".gz" else open
    return opening(path, "rt", encoding="utf-8-sig", newline="")


def _table(path: Path, file: IO[str], separator: str, decimal: str, header: bool) -> Table:
    import numpy as np

    first = file.readline()
    file.seek(0)
    usual = ";\t" if decimal == "comma" else ",;\t"
    records = _records(path, file, SEPARATORS.get(separator) or max(usual, key=first.count))
    names: list[str] = []
    rows, lines = [], []
    for line, cells in records:
        if not names:
            names = _names(path, cells) if header else [str(number + 1) for number in range(len(cells))]
            if header:
                continue
        if len(cells) != len(names):
            raise ffprobe.FileError(
                f"Line {line} of {path} has {len(cells)} cells, but the first line has {len(names)}.",
                hint="Correct that line, or name the separator: --set dataset.separator=semicolon.",
            )
        rows.append(cells)
        lines.append(line)
    if not rows:
        raise ffprobe.FileError(f"{path} has no rows.", hint="A table needs a line for each sample.")
    columns, no_number = {}, {}
    for name, column in zip(names, zip(*rows, strict=True), strict=True):
        numbers = _numbers(column, decimal)
        if len(numbers) == len(column):
            columns[name] = np.array(numbers)
        else:
            columns[name] = np.array(["" if cell.lower() in MISSING else cell for cell in column])
            no_number[name] = f"{column[len(numbers)][:40]!r} in line {lines[len(numbers)]}"
    return Table(path, columns, np.array(lines), no_number)


def _records(path: Path, file: IO[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row that is not blank."""
    reader = csv.reader(file, delimiter=separator, skipinitialspace=True, strict=True)
    try:
        for cells in reader:
            if any(cells):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        hint = "Correct the quotation marks in that line."
        raise ffprobe.FileError(f"Line {reader.line_num} of {path} is not CSV: {error}.", hint=hint) from error


def _names(path: Path, cells: Sequence[str]) -> list[str]:
    wrong = next((name for index, name in enumerate(cells) if name in cells[:index] or not name), None)
    if wrong is not None:
        what = f"two columns named {wrong!r}" if wrong else "a column without a name"
        raise ffprobe.FileError(f"{path} has {what}.", hint="Name each column, or --set dataset.header=false.")
    return list(cells)


def _numbers(cells: Sequence[str], decimal: str) -> list[float]:
    """The cells as numbers, NaN where one is missing, up to the first that is none."""
    numbers: list[float] = []
    for cell in cells:
        if cell.lower() in MISSING:
            numbers.append(math.nan)
            continue
        try:
            number = float(cell.replace(",", ".") if decimal == "comma" else cell)
        except ValueError:
            break
        if "_" in cell:  # Python reads 1_000 as a number
            break
        numbers.append(number)
    return numbers
