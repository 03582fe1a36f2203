"""``ffprobe compare DIR|RUN...``: compares sets of plugins over the seeds in a directory of runs."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ffprobe.cli.completion import complete_run_file
from ffprobe.cli.console import Json, Verbose, print_json, stderr, stdout
from ffprobe.cli.opened import opened, run_files

if TYPE_CHECKING:
    from ffprobe.analysis.result.result import Result

ANALYSIS = "compare"
"""The analysis behind the command; `ffprobe analyze compare` does the same with a list of files."""
ALL_PLUGINS = "plugins"
"""The value of --by that stands for all slots except the data set."""


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run files, and directories that are searched for run files.", autocompletion=complete_run_file
        ),
    ],
    by: Annotated[
        str,
        typer.Option(
            help="Settings that define a row, comma-separated: plugins, dataset, loss, network.width ...; "
            "all settings except the seed by default."
        ),
    ] = "",
    baseline: Annotated[
        str, typer.Option(help="Row to compare the others with, by its name in the table; the first row by default.")
    ] = "",
    layout: Annotated[
        str,
        typer.Option(help="Table layout: groups (one row per group) or losses (one column per loss, as in Table 1)."),
    ] = "groups",
    csv: Annotated[Path | None, typer.Option(help="Write the table to this CSV file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the table and the figure to this HTML page.")] = None,
    latex: Annotated[Path | None, typer.Option(help="Write the table to this LaTeX file (booktabs).")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write the figure to this file: .png, .svg or .pdf.")] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Compare sets of plugins over seeds: accuracy, paired differences with confidence intervals, unequal settings.

    Runs that differ only in the seed form one row. With --by, only the settings that it names define a row; all other
    settings that differ are listed below the table. Unfinished runs in a directory are skipped and counted.
    """
    from ffprobe.analysis.plots.figure import check_suffix
    from ffprobe.analysis.result.latex import write_latex
    from ffprobe.config.resolve import validate
    from ffprobe.config.settings import Choice
    from ffprobe.plugin.error_attribution import attribute_errors
    from ffprobe.plugin.registry import Registry

    if plot:
        check_suffix(plot)
    registry = Registry()
    component: Any = registry.component("probe", ANALYSIS)
    settings = {"by": _keys(by), "baseline": baseline, "layout": layout}
    analysis = Choice(component, validate(component.Params, settings, f"probe {ANALYSIS!r}"))
    paths = run_files(runs)
    command = shlex.join(["ffprobe", *sys.argv[1:]])
    with opened(paths) as files, attribute_errors(registry, "comparing"):
        result = analysis.build().analyze(files)
        if csv:
            result.write_csv(csv)
        if latex:
            write_latex(result, latex)
        if plot:
            result.save_figure(plot, command=command)
        if html:
            _write_page(result, html, component.source, command, len(files))
    if json:
        print_json(result.to_dict())
        return
    stdout().print(result.table())
    for path in filter(None, (csv, latex, plot, html)):
        stderr().print(f"Wrote {path}.", markup=False)


def _keys(by: str) -> str:
    """The argument of --by in the form of the analysis: keys of the config, joined by +."""
    from ffprobe.components.kinds import SINGLE_SLOTS

    slots = [slot for slot in SINGLE_SLOTS if slot != "dataset"]
    keys: dict[str, None] = {}
    for word in filter(None, (part.strip() for part in by.split(","))):
        keys |= dict.fromkeys(slots if word == ALL_PLUGINS else [word])
    return "+".join(keys)


def _write_page(result: Result, html: Path, source: str, command: str, count: int) -> None:
    import ffprobe
    from ffprobe.analysis.result.report import Answer, render_report
    from ffprobe.cli.report import check_target, write_page

    check_target(html)
    answer = Answer(ANALYSIS, result.question, command, result, source=source)
    title = f"{count} runs compared"
    write_page(html, render_report(title, [], [answer], command=command, version=ffprobe.__version__))
