"""``ffprobe compare DIR|RUN...``: which plugins are better, over the seeds of a whole directory."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ffprobe.cli.console import Json, Verbose, print_json, stderr, stdout
from ffprobe.cli.opened import opened

if TYPE_CHECKING:
    from ffprobe.analysis.result.result import Result

QUESTION = "compare"
"""The analysis that is asked; `ffprobe analyze compare` is the same with every file named."""
EVERY_PLUGIN = "plugins"


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run files, and directories of them (with those below).")],
    by: Annotated[
        str,
        typer.Option(help="What makes a row: plugins, dataset, loss, network.width ...; all that decides if empty."),
    ] = "",
    baseline: Annotated[str, typer.Option(help="The row to compare with, as the table names it; else the first.")] = "",
    layout: Annotated[str, typer.Option(help="groups, or losses: a column for each loss, as Table 1 has.")] = "groups",
    csv: Annotated[Path | None, typer.Option(help="Write the table to this file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write table and figure as one page.")] = None,
    latex: Annotated[Path | None, typer.Option(help="Write the table for a paper (booktabs).")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write the figure: .png, .svg or .pdf.")] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Accuracy of every set of plugins over its seeds, differences seed by seed with intervals, and what is unequal.

    Runs that differ in nothing but the seed are one row. With --by, only what it names makes a row, and everything else
    that differs is told. Unfinished runs in a directory are left out and counted.
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
    component: Any = registry.component("probe", QUESTION)
    settings = {"by": _keys(by), "baseline": baseline, "layout": layout}
    question = Choice(component, validate(component.Params, settings, f"probe {QUESTION!r}"))
    paths = run_files(runs)
    command = shlex.join(["ffprobe", *sys.argv[1:]])
    with opened(paths) as files, attribute_errors(registry, "comparing"):
        result = question.build().analyze(files)
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
        stderr().print(f"{path} written.", markup=False)


def run_files(places: Sequence[Path]) -> list[Path]:
    """The run files meant by files and directories; of a directory the finished ones, in order, each once.

    Raises:
        FileError: a directory holds none.
    """
    from ffprobe.errors import FileError
    from ffprobe.store.names import PARTIAL

    found: dict[Path, None] = {}
    for place in places:
        if not place.is_dir():
            found[place] = None
            continue
        inside = sorted(place.rglob("*.h5"))
        unfinished = len(list(place.rglob(f"*.h5{PARTIAL}")))
        if not inside:
            hint = f"{unfinished} are unfinished; ffprobe compare {place}/*{PARTIAL}" if unfinished else ""
            raise FileError("There is no finished run file in this directory.", where=str(place), hint=hint)
        if unfinished:
            stderr().print(f"{place}: {unfinished} unfinished runs are left out.", markup=False)
        found |= dict.fromkeys(inside)
    return list(found)


def _keys(by: str) -> str:
    """``plugins,dataset`` as the analysis has it: keys of the config, joined by +; the data set always counts."""
    from ffprobe.components.kinds import SINGLE_SLOTS

    slots = [slot for slot in SINGLE_SLOTS if slot != "dataset"]
    keys: dict[str, None] = {}
    for word in filter(None, (part.strip() for part in by.split(","))):
        keys |= dict.fromkeys(slots if word == EVERY_PLUGIN else [word])
    return "+".join(keys)


def _write_page(result: Result, html: Path, source: str, command: str, count: int) -> None:
    import ffprobe
    from ffprobe.analysis.result.report import Answer, render_report
    from ffprobe.cli.report import check_target, write_page

    check_target(html)
    answer = Answer(QUESTION, result.question, command, result, source=source)
    title = f"{count} runs compared"
    write_page(html, render_report(title, [], [answer], command=command, version=ffprobe.__version__))
