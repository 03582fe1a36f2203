"""``ffprobe analyze NAME RUN...``: one analysis of recorded runs."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Annotated

import typer

from ffprobe.cli.completion import complete_question, complete_run_file
from ffprobe.cli.console import Json, Verbose, print_json, stderr, stdout
from ffprobe.cli.opened import NoCache, cache_choice, opened, run_files
from ffprobe.cli.slow import shown_if_slow


def analyze(
    name: Annotated[
        str,
        typer.Argument(
            help="Name of the analysis, or NAME:key=value,...; see the list below.", autocompletion=complete_question
        ),
    ],
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Run files, and directories that are searched for finished runs; a few analyses need none.",
            autocompletion=complete_run_file,
        ),
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table to this CSV file.")] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Write the figure to this file (.png, .svg or .pdf), and its data to a .csv file beside it."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Print all rows and columns instead of a summary that fits one screen.")
    ] = False,
    no_cache: NoCache = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Analyze recorded runs: print a table or a JSON document, and plot a figure, from the same numbers.

    Needs no training, no GPU and no data set. The run files are not changed. Fits on finished runs are kept in the
    folder RUN.cache beside the run file, which is safe to delete.
    """
    from ffprobe.analysis.plots.figure import check_suffix
    from ffprobe.analysis.runs.progress import progress_shown_by
    from ffprobe.api import analyze as run_analysis
    from ffprobe.config.analysis_choice import find_question
    from ffprobe.plugin.error_attribution import attribute_errors
    from ffprobe.plugin.registry import Registry

    if plot:
        check_suffix(plot)  # before the analysis, which may take long
    registry = Registry()
    # an unknown name is reported before any file is opened; how many runs a directory has is not known then
    find_question(name, registry, sys.maxsize if any(map(os.path.isdir, runs or [])) else len(runs or []))
    with opened(run_files(runs or [])) as files, attribute_errors(registry, f"answering {name!r}"):
        with (
            shown_if_slow(name) as show,
            progress_shown_by(lambda text: show(f"{name}: {text}")),
            cache_choice(no_cache),
        ):
            result = run_analysis(name, *files, registry=registry)
        if csv:
            result.write_csv(csv)
        if plot:
            result.save_figure(plot, command=shlex.join(["ffprobe", *sys.argv[1:]]))
    if json:
        print_json(result.to_dict())
        return
    stdout().print(result.table() if everything else result.summary())
    for path in filter(None, (csv, plot)):
        stderr().print(f"Wrote {path}.", markup=False)


def names() -> str:
    """The installed analyses with the questions that they answer, for the help text; no plugin is imported."""
    from ffprobe.display import plain_text
    from ffprobe.plugin.discovery import installed

    offers = sorted((o.name, o.summary) for plugin in installed() for o in plugin.offers if o.kind == "probe")
    longest = max((len(name) for name, _ in offers), default=0)
    width = max(min(shutil.get_terminal_size().columns, 80) - 2, 50) - 2  # of the help text, without its indentation
    lines = []
    for name, summary in offers:
        question, mark, _ = plain_text(summary.rstrip(".")).partition("?")
        text = f"{plain_text(name):{longest}}  {question}{mark}"
        lines.append(textwrap.fill(text, width, subsequent_indent=" " * (longest + 2)))
    return "\n".join(["Analyses (`ffprobe plugins info NAME` describes one):", "", "\b", *lines])  # \b: no new wrapping
