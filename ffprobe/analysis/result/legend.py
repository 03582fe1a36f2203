"""The legend of a table: name, meaning and unit of the columns that it shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ffprobe.analysis.result.cells import ShownColumn
from ffprobe.display import plain_text

COMMON = {"run", "depth", "layer", "epoch", "step"}
"""Names of key columns that need no explanation."""
MAX_ENTRIES = 10
"""A longer legend is cut: a table with one column for each of many layers or runs needs none."""
FOLDED = "first, best, last", "over the epochs of the row; trend from its smallest to its largest value"


def legend_entries(shown: Sequence[ShownColumn]) -> list[tuple[str, str]]:
    """The names and meanings of the shown columns; columns of the same meaning share an entry.

    Of columns that differ in a number only, such as one for each layer, the first has an entry.
    """
    names: dict[str, list[str]] = {}
    for column in shown:
        if column.meaning and not (column.column.key and column.column.name in COMMON):
            unit = f" ({column.column.shown_unit})" if column.column.shown_unit else ""
            names.setdefault(f"{column.meaning}{unit}", []).append(column.column.name)
    entries, patterns = [], set()
    for meaning, of in names.items():
        pattern = re.sub(r"\d+", "#", f"{of[0]}: {meaning}")  # of layer_1, layer_2 ... only the first needs an entry
        if pattern not in patterns:
            entries.append((", ".join(of), meaning))
        patterns.add(pattern)
    if any("trend" in column.parts for column in shown):
        best = any("best" in column.parts for column in shown)
        entries.append((FOLDED[0] if best else "first, last", FOLDED[1]))
    return entries[:MAX_ENTRIES]


def legend(entries: Sequence[tuple[str, str]], width: int) -> Iterator[Any]:
    """The legend for a terminal: names on the left, meanings beside them, wrapped with a hanging indent.

    Args:
        entries: names and meanings; nothing is printed without any.
        width: of the terminal, in characters.
    """
    from rich.table import Table
    from rich.text import Text

    if not entries:
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(max_width=max(12, width // 3), overflow="fold")
    grid.add_column()
    for name, meaning in entries:
        grid.add_row(Text(plain_text(name), style="dim bold"), Text(plain_text(meaning), style="dim"))
    yield grid
