"""A result as a table on a terminal, split into several tables if it is too wide; and in a notebook."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ffprobe.analysis.result.cells import MISSING, ShownColumn, shown_columns
from ffprobe.analysis.result.claim import Claim
from ffprobe.analysis.result.column import Column
from ffprobe.analysis.result.fold import fold
from ffprobe.analysis.result.legend import legend, legend_entries
from ffprobe.display import HtmlTable, html_view, plain_text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

MAX_ROWS, END_ROWS = 30, 12
"""A summary shows at most ``MAX_ROWS`` rows; of a longer table, the first and last ``END_ROWS``."""
MAX_LINES = 30
"""A summary that is too wide for the terminal is split into tables with at most this number of lines altogether."""
HTML_ROWS, HTML_END_ROWS = 60, 20
"""A notebook shows at most ``HTML_ROWS`` rows; of a longer table, the first and last ``HTML_END_ROWS``."""
VERDICT_STYLES = {"agrees": "green", "differs": "red", "inconclusive": "yellow"}


@dataclass(frozen=True, repr=False)
class ResultTable:
    """The return value of ``Result.table`` and ``Result.summary``: rich prints it at the width of the console.

    Attributes:
        question: the title.
        columns: the columns of each row.
        rows: tuples of values.
        notes: sentences below the table.
        claims: claims of papers, below the notes.
        brief: whether to show the summary: rows folded over time, and as much as fits on one screen.
    """

    question: str
    columns: Sequence[Column]
    rows: Sequence[tuple[Any, ...]]
    notes: Sequence[str] = ()
    claims: Sequence[Claim] = field(default_factory=tuple)
    brief: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        yield Text(plain_text(self.question), style="bold")
        shown = self._summary() if self.brief else shown_columns(self.columns, self.rows)
        parts = list(_parts(shown, options.max_width))
        rows = len(shown[0].cells) if shown else 0
        if self.brief:
            parts = parts[: max(1, MAX_LINES // (min(rows, MAX_ROWS) + 4))]
        printed = [shown[i] for i in dict.fromkeys(i for part in parts for i in part)]
        for part in parts:
            narrow = _fitted([shown[i] for i in part], options.max_width)
            yield _table(narrow, cut=self.brief and rows > MAX_ROWS)
        if more := self._more(printed) if self.brief else "":
            yield Text(more, style="dim")
        yield from legend(legend_entries(printed), options.max_width)
        for note in self.notes:
            yield Text(plain_text(note), style="dim")
        for claim in self.claims:
            yield _claim(claim)
        if hidden := _not_comparable(self.claims):
            yield Text(hidden, style="dim")

    def _repr_html_(self) -> str:
        long = shown_columns(self.columns, self.rows)
        brief = self._summary() if self.brief else long
        is_long = brief == long
        caption = f"All {len(self.rows)} rows and {len(self.columns)} columns"
        tables = [_html_table(long)] if is_long else [_html_table(brief), _html_table(long, caption)]
        cut = len(self.rows) > HTML_ROWS
        more = [f"… {len(self.rows)} rows in total: to_pandas(), rows or write_csv() gives them all."] if cut else []
        meanings = [f"{name}: {meaning}" for name, meaning in legend_entries(brief)]
        claims = [f"{claim.mark} {claim}" for claim in self.claims if not claim.not_comparable]
        rest = filter(None, [_not_comparable(self.claims)])
        return html_view(self.question, tables, [*more, *meanings, *self.notes, *claims, *rest])

    def _summary(self) -> list[ShownColumn]:
        """The columns of the summary: folded over time if there is a time axis, without details and empty ones."""
        shown = fold(self.columns, self.rows) or shown_columns(self.columns, self.rows)
        main = [c for c in shown if not c.column.detail and (c.column.key or set(c.cells) != {MISSING})]
        return main if any(not column.column.key for column in main) else shown

    def _more(self, printed: Sequence[ShownColumn]) -> str:
        """What the long table has in addition, as one sentence; empty if there is nothing."""
        names = {column.column.name for column in printed}
        all_columns = [c for c in shown_columns(self.columns, self.rows) if set(c.cells) != {MISSING}]
        left_out = [c.column.name for c in all_columns if c.column.name not in names and not c.column.is_time]
        rows = len(printed[0].cells) if printed else 0
        if not left_out and rows == len(self.rows) <= MAX_ROWS:
            return ""
        listed = ", ".join(left_out[:4]) + (f" and {len(left_out) - 4} more columns" if len(left_out) > 4 else "")
        count = f"… --all prints all {len(self.rows)} rows"
        return f"{count}, and {plain_text(listed)}." if listed else f"{count}; --csv FILE writes them."


def _heading(shown: ShownColumn, widths: Sequence[int] = ()) -> str:
    """The name in several lines and the unit; for a folded quantity, the name above its aligned sub-headings."""
    name, unit = plain_text(shown.column.name), plain_text(shown.column.shown_unit)
    if len(shown.parts) == 1:
        words, below = re.sub(r"[ _]+", "\n", name), plain_text(shown.column.unit)
        return f"{words}\n{below}" if below not in ("", "1") else words
    head = name.replace("_", " ") + (f" ({unit})" if unit else "")
    return head + "\n" + "  ".join(part.rjust(width) for part, width in zip(shown.parts, widths, strict=True))


def _aligned(shown: ShownColumn) -> tuple[str, list[str]]:
    """The heading and the cells of a column, all of the same width if it has several parts."""
    if len(shown.parts) == 1:
        return _heading(shown), shown.cells
    widths = [max(map(len, [name, *cells])) for name, cells in shown.parts.items()]
    rows = zip(*shown.parts.values(), strict=True)
    # numbers to the right, a sparkline to the left: a short one ends early
    return _heading(shown, widths), [
        "  ".join(
            text.ljust(width) if name == "trend" else text.rjust(width)
            for name, text, width in zip(shown.parts, row, widths, strict=True)
        )
        for row in rows
    ]


def _width(shown: ShownColumn) -> int:
    heading, cells = _aligned(shown)
    return 3 + max(map(len, [*heading.split("\n"), *cells]))


def _parts(shown: Sequence[ShownColumn], width: int) -> Iterator[list[int]]:
    """Split the columns into tables: the key columns in every table, and as many others as fit."""
    widths = [_width(column) for column in shown]
    keys = [i for i, column in enumerate(shown) if column.column.key]
    part = list(keys)
    for i in range(len(shown)):
        if i in keys:
            continue
        if len(part) > len(keys) and sum(widths[j] for j in [*part, i]) > width:
            yield part
            part = list(keys)
        part.append(i)
    yield part


def _fitted(part: Sequence[ShownColumn], width: int) -> list[ShownColumn]:
    """A table that is too wide even with one quantity, without its sparkline, then without its best value."""
    part = list(part)
    for name in ("trend", "best"):
        if sum(map(_width, part)) > width:
            part = [
                ShownColumn(c.column, {k: v for k, v in c.parts.items() if k != name}, c.text, c.meaning) for c in part
            ]
    return part


def _table(part: Sequence[ShownColumn], *, cut: bool) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False)
    texts = []
    for shown in part:
        heading, cells = _aligned(shown)
        justify: Literal["left", "right"] = "left" if shown.text or len(shown.parts) > 1 else "right"
        table.add_column(Text(heading), justify=justify, overflow="fold")
        texts.append(cells)
    lines = list(zip(*texts, strict=True))
    for row in lines[:END_ROWS] if cut else lines:
        table.add_row(*map(Text, row))  # a str would be read as markup: a class named [red] would be blank
    if cut:
        table.add_row(*("…" for _ in part))
        for row in lines[-END_ROWS:]:
            table.add_row(*map(Text, row))
    return table


def _claim(claim: Claim) -> Any:
    """The verdict, marked and coloured, and the claim beside it; nothing for a claim that is not comparable."""
    from rich.table import Table
    from rich.text import Text

    if claim.not_comparable:
        return Text("", end="")
    style = VERDICT_STYLES.get(claim.verdict, "")
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column()
    grid.add_column()
    text = Text.assemble((claim.verdict, f"bold {style}"), f": {plain_text(claim.text)}")
    grid.add_row(Text(claim.mark, style=f"bold {style}"), text)
    return grid


def _not_comparable(claims: Sequence[Claim]) -> str:
    """One line for all claims that are not comparable with these runs; empty without any."""
    hidden = sum(bool(claim.not_comparable) for claim in claims)
    if not hidden:
        return ""
    words = ("claim is", "it") if hidden == 1 else ("claims are", "them")
    return f"{hidden} {words[0]} not comparable with these runs; --json lists {words[1]}."


def _html_table(shown: Sequence[ShownColumn], folded: str = "") -> HtmlTable:
    """A table of a notebook; with ``folded``, collapsed under this label. The parts of a quantity are columns."""
    heads: list[str] = []
    columns: list[Sequence[str]] = []
    numbers = []
    for column in shown:
        unit = f" ({column.column.shown_unit})" if column.column.shown_unit else ""
        for name, cells in column.parts.items():
            if not column.text and name != "trend":
                numbers.append(len(heads))
            heads.append(f"{column.column.name}{unit}{' ' if name else ''}{name}")
            columns.append(cells)
    lines: list[Sequence[str]] = list(zip(*columns, strict=True))
    if len(lines) > HTML_ROWS:
        lines = [*lines[:HTML_END_ROWS], ("…",) * len(heads), *lines[-HTML_END_ROWS:]]
    return HtmlTable(heads, lines, numbers, caption=folded, folded=bool(folded))
