"""``ffprobe analyze NAME RUN...``: one question, answered from run files alone."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

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
    from ffprobe.analysis.figure import check_suffix
    from ffprobe.config import Choice, parse_plugin, validate
    from ffprobe.registry import Registry
    from ffprobe.training.blame import blamed

    if plot:
        check_suffix(plot)  # before the work, not after it
    registry = Registry()
    what, settings = parse_plugin(name)
    component: Any = _probe(what, registry)
    _refuse_too_few(component, len(runs or []))
    params = validate(component.Params, settings, f"probe {component.name!r}")
    with opened(runs or []) as files, blamed(registry, f"answering {component.name!r}"):
        result = Choice(component, params).build().analyze(files)
        if csv:
            result.write_csv(csv)
        if plot:
            result.save_figure(plot, command=shlex.join(["ffprobe", *sys.argv[1:]]))
    if json:
        print_json(result.json())
        return
    stdout().print(result.table())
    for path in filter(None, (csv, plot)):
        stderr().print(f"{path} written.", markup=False)


def _refuse_too_few(component: Any, count: int) -> None:
    from ffprobe.errors import UsageError

    least = component.least_runs
    if count < least:
        need = "a run file" if least == 1 else f"{least} run files"
        given = f"{count} given" if count else "none given"
        raise UsageError(
            f"The analysis {component.name!r} needs {need}; {given}.", do=f"ffprobe analyze {component.name} run.h5"
        )


def _probe(what: str, registry: Any) -> Any:
    from ffprobe.errors import PluginError, did_you_mean

    known = [offer.name for plugin in registry.plugins for offer in plugin.offers if offer.kind == "probe"]
    if what in known:
        return registry.component("probe", what)
    if not what.endswith(".py") and ":" not in what and not any(p.name == what for p in registry.plugins):
        raise PluginError(f"There is no analysis {what!r}.", do=did_you_mean(what, known))
    found = [c for c in registry.load(what) if c.kind == "probe"]
    if not found:
        raise PluginError(f"The plugin {what!r} offers no probe.", do=did_you_mean(what, known))
    return found[0]


def names() -> str:
    """The analyses installed, one a paragraph, for the help text; nothing is imported."""
    from ffprobe.discovery import installed

    lines = []
    for plugin in installed():
        lines += [f"{o.name}: {o.summary.rstrip('.')}" for o in plugin.offers if o.kind == "probe"]
    return "Names: " + "; ".join(lines)
