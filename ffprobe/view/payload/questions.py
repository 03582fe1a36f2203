"""``/api/questions``: the installed analyses, and which of them some runs allow."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from ffprobe.errors import PluginError
from ffprobe.view.payload.plain_values import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ffprobe.analysis.result.result import Result
    from ffprobe.plugin.registry import Registry


@cache
def registry() -> Registry:
    """The installed plugins; found once, since a plugin that is installed later needs a new server."""
    from ffprobe.plugin.registry import Registry

    return Registry()


def questions_document(runs: int) -> list[dict[str, Any]]:
    """All installed analyses with the question that each answers.

    Whether the runs recorded what an analysis needs is only known when it is asked. Those that record nothing of their
    own come first, because every run answers them; the page opens with the first.

    Args:
        runs: number of runs that would be analyzed.
    """
    offers = {o.name: o.summary for plugin in registry().plugins for o in plugin.offers if o.kind == "probe"}
    return [_question(name, offers[name], runs) for name in sorted(offers, key=lambda name: (_records(name), name))]


def _records(name: str) -> bool:
    from ffprobe.components.probe import Probe

    try:
        component: Any = registry().component("probe", name)
    except PluginError:
        return True
    return component.variables is not Probe.variables


def _question(name: str, summary: str, runs: int) -> dict[str, Any]:
    document = {"name": name, "question": summary, "source": "", "least_runs": 1, "possible": True, "why": ""}
    try:
        component: Any = registry().component("probe", name)
        document["source"] = component.source
        document["least_runs"] = least = int(component.least_runs)
        if least > runs:
            document |= {"possible": False, "why": f"It needs {least} runs." if least > 1 else "It needs a run."}
    except PluginError as error:
        document |= {"possible": False, "why": error.what}
    return plain(document)


def answer_document(
    result: Result, source: str = "", command: str = "", draw: Callable[[], Figure] | None = None
) -> dict[str, Any]:
    """The answer of an analysis: text, claims, table and figure, all from the same rows.

    Args:
        result: the result.
        source: publication that the analysis follows.
        command: the command line that gives the same result.
        draw: gives the figure, if it was drawn before.
    """
    from ffprobe.analysis.plots.figure_numbers import figure_numbers
    from ffprobe.analysis.plots.svg_image import svg_data_url
    from ffprobe.analysis.result.cells import shown_columns

    summary = shown_columns(result.columns, result.rows[:MAX_ROWS])
    document: dict[str, Any] = {
        "name": result.name,
        "question": result.question,
        "source": source,
        "command": command,
        "text": list(result.notes),
        "claims": [claim.to_dict() for claim in result.claims],
        "columns": [
            {"name": c.name, "unit": c.unit, "description": c.description, "detail": c.detail, "key": c.key}
            for c in result.columns
        ],
        "rows": result.rows[:MAX_ROWS],
        "total_rows": len(result.rows),
        # the table as the static page shows it: each spread beside its value, only the columns for reading
        "shown": {
            "columns": [{"name": s.column.name, "unit": s.column.unit, "key": s.column.key} for s in summary],
            "rows": [list(row) for row in zip(*(s.cells for s in summary), strict=True)],
        },
        "notes": list(result.notes),
        "figure": None,
        "svg": None,
        "no_figure": "",
        "runs": [path for path, _ in result.runs],
    }  # fmt: skip
    if result.draw is not None:
        try:
            figure = draw() if draw else result.figure()
            document["figure"] = figure_numbers(figure)
            document["svg"] = svg_data_url(figure)
        except Exception as error:  # a figure that cannot be drawn must not hide the numbers
            document["no_figure"] = f"The figure could not be drawn: {type(error).__name__}: {error}"
    long = {"svg": document.pop("svg"), "csv": _csv(result)}  # made here, and longer than a text may be
    return {**plain(document), **long}


def _csv(result: Result) -> str | None:
    """The whole table as ``Result.write_csv`` writes it; None for a very long one, which the command line writes."""
    import csv
    import io

    from ffprobe.display import csv_cell, plain_text

    if len(result.rows) > MAX_ROWS:
        return None
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([csv_cell(column.name) for column in result.columns])
    for row in result.rows:
        writer.writerow(["" if plain(value) is None else csv_cell(value) for value in row])
    return plain_text(text.getvalue().replace("\r\n", "\n"))


MAX_ROWS = 5_000
"""Rows of a table in the page; the command line writes all."""
