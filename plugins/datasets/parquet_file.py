"""Reads a Parquet file by pyarrow, if that is installed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffprobe_plugins.datasets.table import Table

import ffprobe

if TYPE_CHECKING:
    import numpy as np


def read_parquet(path: Path) -> Table:
    """Read a table; integers, floats and booleans are numbers, everything else is text.

    Raises:
        FileError: pyarrow is not installed, or the file cannot be read.
    """
    import numpy as np

    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        hint = 'Install it: pip install "ffprobe-nn[tables]", or save the table as CSV.'
        raise ffprobe.FileError(f"{path} needs pyarrow to be read.", hint=hint) from error
    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise ffprobe.FileError(f"{path} is not a Parquet file: {error}.", hint="Check the file.") from error
    columns = {name: _column(table[name]) for name in table.column_names}
    return Table(path, columns, np.arange(1, table.num_rows + 1), {})


def _column(column: Any) -> np.ndarray:
    import numpy as np
    from pyarrow import types

    if any(test(column.type) for test in (types.is_integer, types.is_floating, types.is_boolean)):
        return np.array([math.nan if value is None else float(value) for value in column.to_pylist()])
    return np.array(["" if value is None else str(value) for value in column.to_pylist()])
