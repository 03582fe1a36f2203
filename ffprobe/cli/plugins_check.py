"""``ffprobe plugins check``: tests a plugin against the contracts of its components."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ffprobe.cli.completion import complete_any_plugin
from ffprobe.cli.console import Json, Verbose, print_json, stdout

MARKS = {"passed": "ok", "failed": "FAIL", "skipped": "skip"}


def check(
    name: Annotated[
        str,
        typer.Argument(
            help="Name of a plugin, ./file.py or module:attr, with settings as for --plugin.",
            autocompletion=complete_any_plugin,
        ),
    ],
    data_dir: Annotated[Path | None, typer.Option(help="Directory of the files of a data set.")] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Check a plugin against the contract of its kind and print one line per check.

    No file of yours is changed; a probe is checked on toy runs of about a second. The exit code is 5 if a check fails
    and 3 if the plugin cannot be loaded.
    """
    from ffprobe.cli.slow import shown_if_slow
    from ffprobe.config.parsing import parse_plugin
    from ffprobe.errors import CheckFailed
    from ffprobe.testing.checker import check_plugin

    plugin, settings = parse_plugin(name)
    with shown_if_slow(f"Checking {name} against the contract of its kind"):
        report = check_plugin(plugin, settings=settings, data_dir=data_dir)
    if json:
        print_json(report.to_dict())
    else:
        _print(report)
    if not report.passed:
        names = ", ".join(dict.fromkeys(finding.check for finding in report.failures))
        raise CheckFailed(
            f"{len(report.failures)} of {len(report.findings)} checks failed: {names}.",
            where=report.where,
            hint="" if json else "See above for the expected and the actual result of each, and why it matters.",
        )


def _print(report: Any) -> None:
    console = stdout()
    before = ("", "")
    for finding in report.findings:
        if (finding.kind, finding.component) != before:
            before = (finding.kind, finding.component)
            console.print(f"{finding.kind} {finding.component}", style="bold", markup=False)
        line = f"  {MARKS[finding.status]:4}  {finding.check}"
        console.print(line, markup=False, style="red" if finding.status == "failed" else None)
        if finding.status == "failed":
            for label, text in (("expected", finding.expected), ("got", finding.got), ("why", finding.why)):
                _indented(console, label, text)
        elif finding.status == "skipped":
            _indented(console, "reason", finding.reason)
    counts = ", ".join(f"{count} {status}" for status, count in report.counts.items() if count)
    console.print(f"{report.where}: {counts}", markup=False, soft_wrap=True)


def _indented(console: Any, label: str, text: str) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(width=8)
    table.add_column()
    table.add_row(label, Text(text))
    console.print(Padding(table, (0, 0, 0, 8), expand=False))
