"""Where words go: results to stdout, everything else to stderr."""

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
"""Of what belongs to the line above."""

# what every command understands
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


class State:
    """What the options of this process said; set once by the command line."""

    verbose = False
    json = False


def _verbose(value: bool) -> bool:
    State.verbose = State.verbose or value
    return value


Verbose = Annotated[
    bool, typer.Option("--verbose", help="Show tracebacks and debugging messages.", callback=_verbose, is_eager=True)
]


def stdout() -> Console:
    """The console for results. Made when used, so that it sees the stream as it is then."""
    return Console(highlight=False)


def stderr() -> Console:
    """The console for everything else."""
    return Console(stderr=True, highlight=False)


def print_error(error: FfprobeError) -> None:
    """An error on stderr: what happened, and indented below it where and what to do.

    On a terminal lines break between words and go on below their beginning; a log gets each sentence whole, on a line
    of its own, so that it can be searched and a command can be copied from it.
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
    """One JSON document on stdout, plain, whatever the terminal."""
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def finite(value: Any) -> Any:
    """A document in which NaN and infinities are null, since JSON has neither."""
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return value
