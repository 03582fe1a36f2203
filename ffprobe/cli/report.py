"""``ffprobe report RUN... --html FILE``: all analyses that the run files allow, on one HTML page."""

from __future__ import annotations

import logging
import os
import shlex
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ffprobe.cli.completion import complete_question, complete_run_file
from ffprobe.cli.console import Json, Verbose, print_json, stderr
from ffprobe.cli.opened import NoCache, cache_choice, opened, run_files
from ffprobe.cli.slow import shown_if_slow

if TYPE_CHECKING:
    from ffprobe.analysis.result.report import Answer
    from ffprobe.plugin.registry import Registry
    from ffprobe.store.reader import RunFile

log = logging.getLogger("ffprobe")
SLOW = 10.0
"""Seconds from which an analysis gets a line in a log."""


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run files, finished or not, and directories that are searched for finished runs.",
            autocompletion=complete_run_file,
        ),
    ],
    html: Annotated[Path, typer.Option(help="HTML page to write; an existing file is replaced.")] = Path("report.html"),
    title: Annotated[str, typer.Option(help="Title of the page; the data set and the plugins by default.")] = "",
    without: Annotated[
        list[str] | None,
        typer.Option(help="Skip an analysis, for example a slow one; repeatable.", autocompletion=complete_question),
    ] = None,
    static: Annotated[
        bool, typer.Option("--static", help="Leave out the interactive page; what is left needs no JavaScript.")
    ] = False,
    no_cache: NoCache = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write one self-contained page: settings, all analyses that the files allow, and the command for each.

    In a browser that runs JavaScript, the page is that of ``ffprobe view`` with its data inside. Otherwise, and on
    paper, it is a static page.

    With several runs: first the analyses of all runs together, then a section per run with the analyses of one run.
    Unfinished runs in a directory are skipped and counted.
    """
    import ffprobe
    from ffprobe.analysis.result.report import render_report, run_section
    from ffprobe.analysis.runs.labels import run_label, run_labels
    from ffprobe.plugin.registry import Registry
    from ffprobe.view.inlined import inlined, main_findings

    check_target(html)
    registry = Registry()
    skipped = _known(registry, without or [])
    paths = run_files(runs)
    with opened(paths) as files, shown_if_slow("Reading the runs") as show, cache_choice(no_cache):
        sections = [run_section(run, label) for run, label in zip(files, run_labels(files), strict=True)]
        several = len(files) > 1
        together = _answers(registry, files, skipped, show) if several else []
        done = skipped | {answer.name for answer in together if answer.result}
        for run, section in zip(files, sections, strict=True):
            section.answers = _answers(registry, [run], done, show)
        retried = {answer.name for section in sections for answer in section.answers}
        together = [answer for answer in together if answer.result or answer.failure or answer.name not in retried]
        names = [str(files[0].config.get("dataset", {}).get("name", "")), run_label(files[0])]
        show("Drawing the figures")
        title = title or (f"{len(files)} runs compared" if several else ", ".join(filter(None, names)))
        labels, answers = [one.label for one in sections], [*together, *(a for one in sections for a in one.answers)]
        findings = main_findings(files, labels, answers)
        command = shlex.join(["ffprobe", *sys.argv[1:]])
        how: dict[str, Any] = {"command": command, "version": ffprobe.__version__, "findings": findings}
        text = render_report(title, sections, together, **how)
        if not static:
            show("Adding the data of the interactive page")
            alone = {str(run.path): one.answers for run, one in zip(files, sections, strict=True)}
            page = inlined(files, title, together, alone, findings, taken=len(text.encode()))
            text = render_report(title, sections, together, interactive=page, **how)
    write_page(html, text)
    document = _document(html, paths, answers, len(text.encode()))
    if json:
        print_json(document)
        return
    for failed in document["failed"]:
        stderr().print(f"{failed['name']} failed: {failed['why']}", style="yellow", markup=False)
    counts = f"{len(document['answered'])} analyses, {len(document['not_answered'])} not possible"
    stderr().print(f"Wrote {html}: {counts}.", markup=False)


def _known(registry: Registry, names: Sequence[str]) -> set[str]:
    from ffprobe.errors import UsageError, did_you_mean

    known = {offer.name for plugin in registry.plugins for offer in plugin.offers if offer.kind == "probe"}
    for name in names:
        if name not in known:
            raise UsageError(f"There is no analysis {name!r} to skip.", hint=did_you_mean(name, known))
    return set(names)


def _answers(
    registry: Registry, runs: Sequence[RunFile], without: Collection[str], show: Callable[[str], None]
) -> list[Answer]:
    """Run every installed analysis that this number of runs allows; those that need several runs come first."""
    from ffprobe.analysis.result.report import Answer
    from ffprobe.errors import PluginError

    offers = {o.name: o.summary.rstrip(".") for plugin in registry.plugins for o in plugin.offers if o.kind == "probe"}
    ranked: list[tuple[int, Answer]] = []
    for name, summary in sorted(offers.items()):
        if name in without:
            continue
        command = shlex.join(["ffprobe", "analyze", name, *(str(run.path) for run in runs), "--plot", f"{name}.png"])
        answer = Answer(name, summary, command)
        try:
            component = registry.component("probe", name)
        except PluginError as error:
            answer.failure = str(error)
            ranked.append((0, answer))
            continue
        answer.source = component.source
        if component.least_runs <= len(runs):  # type: ignore[attr-defined]
            with _status(name, show):
                _analyze(component, runs, answer)
            ranked.append((-component.least_runs, answer))  # type: ignore[attr-defined]
    return [answer for _, answer in sorted(ranked, key=lambda pair: pair[0])]


@contextmanager
def _status(name: str, show: Callable[[str], None]) -> Iterator[None]:
    """Show the current analysis and what it is doing; in a log, write a line for each slow one."""
    from ffprobe.analysis.runs.progress import progress_shown_by

    console, began = stderr(), time.monotonic()
    show(name)
    with progress_shown_by(lambda text: show(f"{name}: {text}")):
        yield
    if (seconds := time.monotonic() - began) > SLOW and not console.is_terminal:
        console.print(f"{name} took {seconds:.0f} s.", markup=False)


def _analyze(component: Any, runs: Sequence[RunFile], answer: Answer) -> None:
    from ffprobe.errors import FfprobeError, describe

    try:
        answer.result = component(component.Params()).analyze(runs)
    except FfprobeError as error:
        answer.missing, answer.hint = error.what, error.hint
    except Exception as error:  # a failing third-party analysis must not prevent the page
        log.debug("%s failed", answer.name, exc_info=True)
        answer.failure = describe(error)


def check_target(html: Path) -> None:
    """Refuse a page that could not be written, before any analysis runs.

    Raises:
        UsageError: the file is not named .html or .htm.
        FileError: it is a directory, or its directory does not exist.
    """
    from ffprobe.errors import FileError, UsageError

    if html.suffix.lower() not in (".html", ".htm"):
        raise UsageError("A report is an HTML page.", where=str(html), hint="Use a file name that ends in .html.")
    if html.is_dir() or not html.parent.is_dir():
        what = "The report cannot replace a directory." if html.is_dir() else "There is no such directory."
        raise FileError(
            what, where=str(html if html.is_dir() else html.parent), hint="Choose another path with --html."
        )


def write_page(html: Path, text: str) -> None:
    """Replace the page atomically, so that an existing one stays until the new one is complete."""
    from ffprobe.store.hdf5_errors import file_error

    new = html.with_name(f".{html.name}.{os.getpid()}")
    try:
        new.write_text(text, encoding="utf-8")
        os.replace(new, html)
    except OSError as error:
        raise file_error(error, html, "The report could not be written") from error
    finally:
        new.unlink(missing_ok=True)


def _document(html: Path, runs: Sequence[Path], answers: Sequence[Answer], size: int) -> dict[str, Any]:
    return {
        "html": str(html),
        "bytes": size,
        "runs": [str(run) for run in runs],
        "answered": [answer.name + answer.of for answer in answers if answer.result],
        "not_answered": [
            {"name": answer.name + answer.of, "what": answer.missing, "hint": answer.hint}
            for answer in answers
            if answer.missing
        ],
        "failed": [
            {"name": answer.name + answer.of, "why": answer.failure or answer.no_figure}
            for answer in answers
            if answer.failure or answer.no_figure
        ],
    }
