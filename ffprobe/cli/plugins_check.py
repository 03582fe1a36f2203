"""``ffprobe plugins check``: a plugin against the contracts of what it offers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ffprobe.cli.console import Json, Verbose, print_json, stdout

MARKS = {"passed": "ok", "failed": "FAIL", "skipped": "skip"}


def check(
    name: Annotated[str, typer.Argument(help="A plugin's name, ./file.py or module:attr; settings as for --plugin.")],
    data_dir: Annotated[Path | None, typer.Option(help="Where the files of a data set lie.")] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Hold a plugin against the contract of its kind: one line for each check.

    Nothing of your own is trained or changed; a probe is tried on runs of a second. Exit code 5 when a check fails, 3
    when the plugin would not load.
    """
    from ffprobe.config.parsing import parse_plugin
    from ffprobe.errors import CheckFailed
    from ffprobe.testing.checker import check_plugin

    what, settings = parse_plugin(name)
    report = check_plugin(what, settings=settings, data_dir=data_dir)
    if json:
        print_json(report.to_dict())
    else:
        _print(report)
    if not report.passed:
        names = ", ".join(dict.fromkeys(finding.check for finding in report.failures))
        raise CheckFailed(
            f"{len(report.failures)} of {len(report.findings)} checks failed: {names}.",
            where=report.where,
            hint="" if json else "Each says above what was expected, what came, and why it matters.",
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
            for label, text in (("expected", finding.expected), ("came", finding.came), ("why", finding.why)):
                _indented(console, label, text)
        elif finding.status == "skipped":
            _indented(console, "since", finding.reason)
    said = ", ".join(f"{count} {status}" for status, count in report.counts.items() if count)
    console.print(f"{report.where}: {said}", markup=False, soft_wrap=True)


def _indented(console: Any, label: str, text: str) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(width=8)
    table.add_column()
    table.add_row(label, Text(text))
    console.print(Padding(table, (0, 0, 0, 8), expand=False))
