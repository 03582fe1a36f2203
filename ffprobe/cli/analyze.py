"""``ffprobe analyze NAME RUN...``: one question, answered from run files alone."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from ffprobe.cli.console import Json, Verbose, print_json, stderr, stdout
from ffprobe.cli.opened import opened


def analyze(
    name: Annotated[str, typer.Argument(help="The question, or NAME:key=value,...; the list stands below.")],
    runs: Annotated[list[Path] | None, typer.Argument(help="One run file or more; a few questions need none.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table to this file.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write the figure: .png, .svg or .pdf, data as .csv beside.")
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Answer a question from recorded runs: a table, a JSON document, a figure, from the same numbers.

    No training, no GPU, no data set; the run files are only read.
    """
    from ffprobe.analysis.plots.figure import check_suffix
    from ffprobe.config.analysis_choice import find_question
    from ffprobe.plugin.error_attribution import attribute_errors
    from ffprobe.plugin.registry import Registry

    if plot:
        check_suffix(plot)  # before the work, not after it
    registry = Registry()
    question = find_question(name, registry, len(runs or []))
    with opened(runs or []) as files, attribute_errors(registry, f"answering {question.component.name!r}"):
        result = question.build().analyze(files)
        if csv:
            result.write_csv(csv)
        if plot:
            result.save_figure(plot, command=shlex.join(["ffprobe", *sys.argv[1:]]))
    if json:
        print_json(result.to_dict())
        return
    stdout().print(result.table())
    for path in filter(None, (csv, plot)):
        stderr().print(f"{path} written.", markup=False)


def names() -> str:
    """The analyses installed, one a paragraph, for the help text; nothing is imported."""
    from ffprobe.plugin.discovery import installed

    lines = []
    for plugin in installed():
        lines += [f"{o.name}: {o.summary.rstrip('.')}" for o in plugin.offers if o.kind == "probe"]
    return "Names: " + "; ".join(lines)
