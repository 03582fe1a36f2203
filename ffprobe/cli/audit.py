"""``ffprobe audit RUN|DIR|PLUGIN...``: one page for reviewers, from run files."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ffprobe.cli.completion import complete_preset, complete_run_file
from ffprobe.cli.console import Json, Verbose, print_json, stderr, stdout
from ffprobe.cli.opened import NoCache, cache_choice, opened, run_files
from ffprobe.cli.slow import shown_if_slow

if TYPE_CHECKING:
    from ffprobe.analysis.audit.page import AuditPage
    from ffprobe.plugin.registry import Registry
    from ffprobe.store.reader import RunFile

STYLES = {"ok": "green", "look": "bold yellow", "open": "cyan", "fact": "dim"}


def audit(
    subjects: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN|PLUGIN]...",
            help="Run files and directories; and plugins as --plugin takes them, whose locality alone can be measured.",
            autocompletion=complete_run_file,
        ),
    ] = None,
    preset: Annotated[str, typer.Option(help="Preset that the plugins override.", autocompletion=complete_preset)] = "",
    md: Annotated[Path | None, typer.Option(help="Write the page to this Markdown file.")] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Import the plugins that run files name as ./file.py or module:attr.")
    ] = False,
    no_cache: NoCache = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Answer what a reviewer asks: locality, test set, seeds, floors, trust, cost, versions and hashes.

    Everything but locality is read from run files; what they do not record is stated. Locality is measured on a toy
    network with the same components. Nothing is judged: a ``!`` asks for a closer look.
    """
    import ffprobe
    from ffprobe.analysis.audit.page import AuditPage, audit_topics
    from ffprobe.analysis.runs.labels import run_label
    from ffprobe.analysis.runs.progress import progress_shown_by
    from ffprobe.errors import UsageError
    from ffprobe.plugin.registry import Registry
    from ffprobe.training.audit_locality import locality_topic

    words = subjects or []
    paths = [Path(word) for word in words if _is_run(word)]
    plugins = [word for word in words if not _is_run(word)]
    if not paths and not plugins and not preset:
        raise UsageError("There is nothing to audit.", hint="Name run files, directories, plugins, or a --preset.")
    registry = Registry()
    with opened(run_files(paths)) as files, cache_choice(no_cache), shown_if_slow("audit") as show:
        with progress_shown_by(lambda text: show(f"audit: {text}")):
            tables = _tables(files, plugins, preset, registry, trust)
            topics = [locality_topic(tables, registry), *(audit_topics(files) if files else [])]
        names = [run_label(run) for run in files] + (
            [" ".join(filter(None, [preset, *plugins]))] if plugins or preset else []
        )
    title = f"Audit of {names[0]}" if len(names) == 1 else f"Audit of {len(names)} runs and plugins"
    page = AuditPage(title, tuple(topics), shlex.join(["ffprobe", *sys.argv[1:]]), ffprobe.__version__)
    if md:
        _write(page, md)
    if json:
        print_json(page.to_dict())
    else:
        _print(page)
    if md:
        stderr().print(f"Wrote {md}.", markup=False)


def _is_run(word: str) -> bool:
    return (
        os.path.isdir(word) or word.endswith((".h5", ".partial")) or (os.path.isfile(word) and not word.endswith(".py"))
    )


def _tables(
    files: list[RunFile], plugins: list[str], preset: str, registry: Registry, trust: bool
) -> list[tuple[str, dict[str, Any]]]:
    """The configs whose locality is measured, with labels."""
    from ffprobe.analysis.runs.labels import run_labels
    from ffprobe.api import configure
    from ffprobe.config.options import RunOptions
    from ffprobe.config.trust import check_code, code_in

    tables = []
    for run, label in zip(files, run_labels(files) if files else [], strict=True):
        table = {**run.config, "probes": [], "observers": []}
        recorded: Any = run.attributes.get("plugins", [])
        check_code(code_in(table), (), trust=trust, where=str(run.path), recorded=recorded)
        tables.append((label, table))
    if plugins or preset:
        config = configure(registry, RunOptions(preset=preset, plugin=tuple(plugins)))
        tables.append((" ".join(filter(None, [preset, *plugins])), config.to_dict()))
    return tables


def _print(page: AuditPage) -> None:
    from rich.table import Table
    from rich.text import Text

    from ffprobe.analysis.audit.finding import MARKS

    console = stdout()
    console.print(Text(page.title, "bold"))
    console.print(Text(page.legend()))
    for topic in page.topics:
        console.print()
        console.print(Text(topic.title, "bold"))
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for finding in topic.findings:
            table.add_row(Text(MARKS[finding.status], STYLES[finding.status]), Text(finding.text))
        console.print(table)


def _write(page: AuditPage, path: Path) -> None:
    from ffprobe.errors import FileError

    try:
        path.write_text(page.markdown(), encoding="utf-8")
    except OSError as error:
        raise FileError(f"The page cannot be written: {error.strerror}.", where=str(path)) from error
