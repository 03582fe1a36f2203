"""``ffprobe analyze NAME RUN...``: one analysis of recorded runs."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from ffprobe.cli.console import Json, Verbose, print_json, stderr, stdout
from ffprobe.cli.opened import opened


def analyze(
    name: Annotated[str, typer.Argument(help="Name of the analysis, or NAME:key=value,...; see the list below.")],
    runs: Annotated[list[Path] | None, typer.Argument(help="Run files; a few analyses need none.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table to this CSV file.")] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Write the figure to this file (.png, .svg or .pdf), and its data to a .csv file beside it."),
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Analyze recorded runs: print a table or a JSON document, and plot a figure, from the same numbers.

    Needs no training, no GPU and no data set. The run files are not changed.
    """
    from ffprobe.analysis.plots.figure import check_suffix
    from ffprobe.api import analyze as run_analysis
    from ffprobe.config.analysis_choice import find_question
    from ffprobe.plugin.error_attribution import attribute_errors
    from ffprobe.plugin.registry import Registry

    if plot:
        check_suffix(plot)  # before the analysis, which may take long
    registry = Registry()
    find_question(name, registry, len(runs or []))  # an unknown name is reported before any file is opened
    with opened(runs or []) as files, attribute_errors(registry, f"answering {name!r}"):
        result = run_analysis(name, *files, registry=registry)
        if csv:
            result.write_csv(csv)
        if plot:
            result.save_figure(plot, command=shlex.join(["ffprobe", *sys.argv[1:]]))
    if json:
        print_json(result.to_dict())
        return
    stdout().print(result.table())
    for path in filter(None, (csv, plot)):
        stderr().print(f"Wrote {path}.", markup=False)


def names() -> str:
    """The installed analyses with their summaries, for the help text; no plugin is imported."""
    from ffprobe.plugin.discovery import installed

    lines = []
    for plugin in installed():
        lines += [f"{o.name}: {o.summary.rstrip('.')}" for o in plugin.offers if o.kind == "probe"]
    return "Names: " + "; ".join(lines)
