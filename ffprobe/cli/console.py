"""Output of the command line: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from ffprobe.errors import FfprobeError

INDENT = 2
"""Columns by which details of an error are indented."""

# options of all commands
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


class State:
    """The global options of this process."""

    verbose = False
    json = False


def _verbose(value: bool) -> bool:
    State.verbose = State.verbose or value
    return value


Verbose = Annotated[
    bool, typer.Option("--verbose", help="Show tracebacks and debug messages.", callback=_verbose, is_eager=True)
]


def stdout() -> Console:
    """The console for results; created at each call, so that it uses the current stream."""
    return Console(highlight=False)


def stderr() -> Console:
    """The console for everything else."""
    return Console(stderr=True, highlight=False)


def print_error(error: FfprobeError) -> None:
    """Print an error on stderr: what happened, and indented below it the location and the hint.

    On a terminal, long lines are wrapped between words with a hanging indent. In a log, each part is one line, so that
    it can be searched and commands can be copied.
    """
    from rich.padding import Padding
    from rich.text import Text

    console = stderr()
    process = f" in process {os.environ['RANK']}" if "RANK" in os.environ else ""  # torchrun's
    head, parts = Text(f"error{process}: ", style="bold red"), [part for part in (error.where, error.hint) if part]
    if not console.is_terminal:
        console.print(Text.assemble(head, error.what), soft_wrap=True)
        for part in parts:
            console.print(Text(" " * INDENT + part), soft_wrap=True)
        return
    lines = Text(error.what).wrap(console, max(console.width - len(head), 1))
    console.print(Text.assemble(head, lines[0]))
    for line in lines[1:]:
        console.print(Padding(line, (0, 0, 0, len(head))))
    for part in parts:
        console.print(Padding(Text(part), (0, 0, 0, INDENT)))


def print_json(document: Any) -> None:
    """Print one JSON document on stdout, without colors or wrapping."""
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def finite(value: Any) -> Any:
    """A copy of a document with None in place of NaN and infinities, which JSON does not have."""
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return value
