"""``ffprobe presets``: every preset with what it is, what it reached and took here, and what its paper reports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ffprobe.cli.console import INDENT, Json, Verbose, print_json, stdout

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

MISSING = "–"


def presets(json: Json = False, verbose: Verbose = False) -> None:
    """List the presets: what each is, its measured accuracy and time, and its paper's accuracy.

    `ffprobe run --preset NAME` starts one, `ffprobe plugins info NAME` lists its components and settings.
    """
    from ffprobe.config.preset_files import preset_names

    rows = [preset_row(name) for name in preset_names()]
    if json:
        print_json(rows)
        return
    console = stdout()
    longest = max(len(row["name"]) for row in rows)
    console.print(_line(longest, "preset", "test", "time", "paper"))
    for row in rows:
        cells = (*measured_text(row["measured"]), paper_text(row["paper"]))
        console.print(_line(longest, row["name"], *cells, style="bold"))
        _print_indented(console, row["summary"])
    console.print()
    for sentence in notes(rows):
        console.print(sentence, soft_wrap=not console.is_terminal)


def preset_row(name: str) -> dict[str, Any]:
    """One preset as a document: ``name``, ``summary``, ``description``, ``measured`` and ``paper``, None if unknown."""
    from ffprobe.config.preset_files import preset_comment, preset_measurement, preset_publication, preset_summary

    return {
        "name": name,
        "summary": preset_summary(name),
        "description": preset_comment(name),
        "measured": preset_measurement(name),
        "paper": preset_publication(name),
    }


def measured_text(measured: dict[str, Any] | None) -> tuple[str, str]:
    """Test accuracy and time of a measurement, as cells; a dash for what is not measured."""
    if measured is None:
        return MISSING, MISSING
    return f"{100 * measured['test_accuracy']:.1f} %", expected_time(measured)


def paper_text(paper: dict[str, Any] | None) -> str:
    """The first published number as a cell, with its data set; a dash without one."""
    if paper is None:
        return MISSING
    data, number = next(iter(paper["test_accuracy"].items()))
    return f"{number.partition(' ')[0]} {data}"


def expected_time(measured: dict[str, Any]) -> str:
    """The time of a run in at most six characters: its processor time, divided by its threads.

    Its wall time would count the other programs that ran at the same time.
    """
    seconds = measured["processor_seconds"] / measured["threads"]
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def notes(rows: Iterable[dict[str, Any]]) -> list[str]:
    """What the columns mean and where they were measured, in sentences."""
    measured = [row["measured"] for row in rows if row["measured"]]
    where = sorted(
        {f"{m['processor']}, {m['threads']} thread{'s' * (m['threads'] != 1)}, {m['precision']}" for m in measured}
    )
    dates = sorted({m["date"] for m in measured})
    when = f", {dates[0]}" + (f" to {dates[-1]}" if len(dates) > 1 else "") if dates else ""
    here = f" Measured on {'; '.join(where)}{when}." if where else ""
    return [
        "test: accuracy of one run on digits with default settings, seed 0. time: processor time of its whole process, "
        f"divided by the number of threads.{here}",
        "paper: test accuracy in percent that its paper reports, with the paper's own settings. –: not known.",
    ]


def _line(longest: int, name: str, test: str, time: str, paper: str, style: str = "") -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    line = Table.grid(padding=(0, 2, 0, 0))
    for width, justify in ((longest, "left"), (6, "right"), (6, "right"), (None, "left")):
        line.add_column(width=width, justify=justify)  # type: ignore[arg-type]
    line.add_row(Text(name, style), test, time, paper)
    return line


def _print_indented(console: Console, text: str) -> None:
    from rich.padding import Padding
    from rich.text import Text

    if console.is_terminal:
        console.print(Padding(Text(text), (0, 0, 0, INDENT), expand=False))
    else:  # one line in a log, so that it can be searched
        console.print(Text(" " * INDENT + text), soft_wrap=True)
